import static java.nio.charset.StandardCharsets.UTF_8;

import java.net.URI;
import java.util.Collections;
import java.util.concurrent.TimeUnit;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.awscore.client.builder.AwsAsyncClientBuilder;
import software.amazon.awssdk.awscore.client.builder.AwsClientBuilder;
import software.amazon.awssdk.http.Protocol;
import software.amazon.awssdk.http.nio.netty.NettyNioAsyncHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.dynamodb.model.BillingMode;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.kinesis.common.ConfigsBuilder;
import software.amazon.kinesis.common.InitialPositionInStream;
import software.amazon.kinesis.common.InitialPositionInStreamExtended;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.leases.Lease;
import software.amazon.kinesis.leases.LeaseManagementConfig;
import software.amazon.kinesis.leases.dynamodb.DynamoDBLeaseRefresher;
import software.amazon.kinesis.leases.dynamodb.DynamoDBLeaseSerializer;
import software.amazon.kinesis.leases.dynamodb.TableCreatorCallback;
import software.amazon.kinesis.lifecycle.events.InitializationInput;
import software.amazon.kinesis.lifecycle.events.LeaseLostInput;
import software.amazon.kinesis.lifecycle.events.ProcessRecordsInput;
import software.amazon.kinesis.lifecycle.events.ShardEndedInput;
import software.amazon.kinesis.lifecycle.events.ShutdownRequestedInput;
import software.amazon.kinesis.metrics.NullMetricsFactory;
import software.amazon.kinesis.processor.RecordProcessorCheckpointer;
import software.amazon.kinesis.processor.ShardRecordProcessor;
import software.amazon.kinesis.processor.SingleStreamTracker;
import software.amazon.kinesis.retrieval.KinesisClientRecord;
import software.amazon.kinesis.retrieval.polling.PollingConfig;

/**
 * A worker of Amazon's library that tells on its standard output what it does, until SIGTERM stops it in good order:
 *
 *     java Worker TABLE STREAM WORKER KINESIS-URL DYNAMODB-URL FAILOVER-MILLISECONDS
 *
 * A line is KIND TIME SHARD [NUMBER DATA]; the time is in milliseconds. With the word "rows" for a stream it prints the rows
 * of the table as the library reads them, and ends.
 */
public class Worker implements ShardRecordProcessor {
    private String shard;

    public static void main(String[] args) throws Exception {
        String table = args[0], stream = args[1], name = args[2];
        DynamoDbAsyncClient dynamo = at(args[4], DynamoDbAsyncClient.builder());
        if (stream.equals("rows")) {
            rows(table, dynamo);
            System.exit(0);
        }
        KinesisAsyncClient kinesis = at(args[3], KinesisAsyncClient.builder());
        CloudWatchAsyncClient unused = at(args[4], CloudWatchAsyncClient.builder());
        InitialPositionInStreamExtended start =
                InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON);
        SingleStreamTracker tracker = new SingleStreamTracker(stream, start);
        ConfigsBuilder of = new ConfigsBuilder(tracker, table, kinesis, dynamo, unused, name, Worker::new);
        PollingConfig polling = new PollingConfig(stream, kinesis).idleTimeBetweenReadsInMillis(250);
        Scheduler scheduler = new Scheduler(
                of.checkpointConfig(),
                of.coordinatorConfig().parentShardPollIntervalMillis(1000),
                of.leaseManagementConfig().failoverTimeMillis(Long.parseLong(args[5])).shardSyncIntervalMillis(5000),
                of.lifecycleConfig(),
                of.metricsConfig().metricsFactory(new NullMetricsFactory()),
                of.processorConfig(),
                of.retrievalConfig().retrievalSpecificConfig(polling));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(scheduler)));
        scheduler.run();
    }

    private static <C, B extends AwsClientBuilder<B, C> & AwsAsyncClientBuilder<B, C>> C at(String url, B builder) {
        return builder.endpointOverride(URI.create(url))
                .region(Region.US_EAST_1)
                .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create("key", "secret")))
                .httpClientBuilder(NettyNioAsyncHttpClient.builder().protocol(Protocol.HTTP1_1).maxConcurrency(100))
                .build();
    }

    private static void rows(String table, DynamoDbAsyncClient dynamo) throws Exception {
        DynamoDBLeaseRefresher reader = new DynamoDBLeaseRefresher(
                table,
                dynamo,
                new DynamoDBLeaseSerializer(),
                true,
                TableCreatorCallback.NOOP_TABLE_CREATOR_CALLBACK,
                LeaseManagementConfig.DEFAULT_REQUEST_TIMEOUT,
                BillingMode.PAY_PER_REQUEST,
                false,
                Collections.emptyList());
        for (Lease row : reader.listLeases()) {
            String at = row.checkpoint().sequenceNumber() + "/" + row.checkpoint().subSequenceNumber();
            tell("ROW", row.leaseKey(), row.leaseCounter() + " " + row.leaseOwner() + "/" + at);
        }
    }

    private static void stop(Scheduler scheduler) {
        try {
            scheduler.startGracefulShutdown().get(10, TimeUnit.SECONDS);
            tell("STOPPED", "-", "");
        } catch (Exception error) {
            tell("UNSTOPPED", "-", error.toString());
        }
    }

    private static void tell(String kind, String shard, String more) {
        System.out.println(kind + " " + System.currentTimeMillis() + " " + shard + " " + more);
    }

    private void commit(RecordProcessorCheckpointer checkpointer) {
        try {
            checkpointer.checkpoint();
        } catch (Exception error) {
            tell("UNCOMMITTED", shard, error.getClass().getSimpleName());
        }
    }

    public void initialize(InitializationInput input) {
        shard = input.shardId();
        tell("INIT", shard, input.extendedSequenceNumber().sequenceNumber());
    }

    public void processRecords(ProcessRecordsInput input) {
        for (KinesisClientRecord record : input.records()) {
            tell("REC", shard, record.sequenceNumber() + " " + UTF_8.decode(record.data()));
        }
        if (!input.records().isEmpty()) {
            commit(input.checkpointer());
        }
    }

    public void leaseLost(LeaseLostInput input) {
        tell("LOST", shard, "");
    }

    public void shardEnded(ShardEndedInput input) {
        tell("END", shard, "");
        commit(input.checkpointer());
    }

    public void shutdownRequested(ShutdownRequestedInput input) {
        commit(input.checkpointer());
    }
}
