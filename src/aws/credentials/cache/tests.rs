//! Tests of the cache of credentials.

use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::unbounded;

use super::*;
use crate::control::call::Call;
use crate::error::client::ErrorClass;

fn bounds() -> Bounds {
    Bounds::new("GetRecords", &Call::unbounded(), Duration::from_secs(20))
}

/// A cache over a closure that gets the number of its earlier calls.
fn cache(
    answer: impl Fn(usize) -> Result<Credentials, &'static str> + Send + Sync + 'static,
) -> (CredentialsCache, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let function = move || Ok(answer(counter.fetch_add(1, Ordering::SeqCst))?);
    (CredentialsCache::new(Source::Provider(Arc::new(function))), asked)
}

fn key(number: usize) -> Credentials {
    Credentials::new(format!("key{number}"), "secret")
}

fn in_seconds(seconds: u64) -> SystemTime {
    SystemTime::now() + Duration::from_secs(seconds)
}

/// Waits for the answer to the question in progress.
fn settle(cache: &CredentialsCache) {
    let asking = cache.state.lock().asking.clone().expect("a refresh is under way");
    asking.wait(&bounds()).unwrap();
}

#[test]
fn good_credentials_are_asked_for_once() {
    let (cache, asked) = cache(|number| Ok(key(number).with_expiry(in_seconds(3_600))));
    let first = cache.get(&bounds()).unwrap();
    for _ in 0..3 {
        assert!(Arc::ptr_eq(&cache.get(&bounds()).unwrap(), &first));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn an_error_is_never_kept() {
    let (cache, asked) =
        cache(|number| if number < 2 { Err("no network") } else { Ok(key(number)) });
    for _ in 0..2 {
        let error = cache.get(&bounds()).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Transient, "nobody has refused anything");
        assert!(error.to_string().contains("no network"), "{error}");
    }
    assert_eq!(*cache.get(&bounds()).unwrap(), key(2));
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[test]
fn credentials_that_expire_soon_are_replaced_behind_the_callers_back() {
    let (cache, _) = cache(|number| {
        let expires = in_seconds(if number == 0 { 60 } else { 3_600 });
        Ok(key(number).with_expiry(expires))
    });
    let first = cache.get(&bounds()).unwrap();
    cache.state.lock().not_before = None;
    assert_eq!(
        cache.get(&bounds()).unwrap(),
        first,
        "the old ones serve while new ones are asked for"
    );
    settle(&cache);
    assert_ne!(cache.get(&bounds()).unwrap(), first);
}

#[test]
fn a_failed_refresh_keeps_credentials_that_are_still_good() {
    let (cache, asked) = cache(|number| match number {
        0 => Ok(key(0).with_expiry(in_seconds(60))),
        _ => Err("no network"),
    });
    let first = cache.get(&bounds()).unwrap();
    cache.state.lock().not_before = None;
    cache.get(&bounds()).unwrap();
    settle(&cache);
    for _ in 0..3 {
        assert_eq!(cache.get(&bounds()).unwrap(), first);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2, "the next refresh waits");
}

#[test]
fn expired_credentials_are_not_used() {
    let (cache, asked) = cache(|number| {
        Ok(key(number).with_expiry(if number == 0 { SystemTime::now() } else { in_seconds(3_600) }))
    });
    cache.get(&bounds()).unwrap();
    cache.get(&bounds()).unwrap();
    cache.get(&bounds()).unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[test]
fn refused_credentials_are_replaced_once_however_many_calls_saw_the_refusal() {
    let (cache, asked) = cache(|number| Ok(key(number)));
    let first = cache.get(&bounds()).unwrap();
    assert!(!cache.refused(&first));
    let second = cache.get(&bounds()).unwrap();
    assert_ne!(first, second);
    assert!(!cache.refused(&first));
    assert_eq!(cache.get(&bounds()).unwrap(), second);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[test]
fn refused_credentials_do_not_come_back_when_the_refresh_fails() {
    let (cache, _) = cache(|number| if number == 0 { Ok(key(0)) } else { Err("no network") });
    let first = cache.get(&bounds()).unwrap();
    assert!(!cache.refused(&first));
    assert!(cache.get(&bounds()).is_err());
    assert!(cache.get(&bounds()).is_err());
}

#[test]
fn many_callers_ask_once_and_all_get_the_answer() {
    let (release, gate) = unbounded::<()>();
    let (cache, asked) = cache(move |number| {
        gate.recv().unwrap();
        Ok(key(number))
    });
    let (entered, entries) = unbounded();
    thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let (cache, entered) = (&cache, entered.clone());
                scope.spawn(move || {
                    entered.send(()).unwrap();
                    cache.get(&bounds())
                })
            })
            .collect();
        (0..8).for_each(|_| entries.recv().unwrap());
        release.send(()).unwrap();
        for caller in callers {
            assert_eq!(*caller.join().unwrap().unwrap(), key(0));
        }
    });
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn a_stop_and_a_deadline_end_the_wait_for_a_source_that_hangs() {
    let (release, gate) = unbounded::<()>();
    let (cache, _) = cache(move |number| {
        // Ends when the test drops its end.
        let _ = gate.recv();
        Ok(key(number))
    });
    let (stop, stopped) = bounded(0);
    drop(stop);
    let call = Call::new(stopped);
    let error = cache.get(&Bounds::new("GetRecords", &call, Duration::from_secs(20))).unwrap_err();
    assert!(error.to_string().contains("has stopped"), "{error}");

    let short = Bounds::new("GetRecords", &Call::unbounded(), Duration::from_millis(50));
    let error = cache.get(&short).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient);
    drop(release);
    assert_eq!(*cache.get(&bounds()).unwrap(), key(0), "its late answer is used");
}

#[test]
fn a_source_that_panics_is_an_error_and_asked_again() {
    let (cache, _) = cache(|number| if number == 0 { panic!("a bug") } else { Ok(key(number)) });
    let error = cache.get(&bounds()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient);
    assert_eq!(*cache.get(&bounds()).unwrap(), key(1));
}

#[test]
fn credentials_that_cannot_sign_are_an_error() {
    let (cache, _) = cache(|_| Ok(Credentials::new("key\n", "secret")));
    let error = cache.get(&bounds()).unwrap_err().to_string();
    assert!(error.contains("line break") && !error.contains("secret\""), "{error}");
}

#[test]
fn a_source_that_answered_before_and_fails_now_is_waited_for() {
    let (cache, _) = cache(|number| match number {
        0 | 3 => Ok(key(number)),
        _ => Err("HTTP status 503"),
    });
    let first = cache.get(&bounds()).unwrap();
    assert!(!cache.refused(&first));
    for _ in 0..2 {
        let error = cache.get(&bounds()).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    }
    assert_eq!(*cache.get(&bounds()).unwrap(), key(3));
}

/// The next call asks again without a wait for the clock.
fn let_time_pass(cache: &CredentialsCache) {
    cache.state.lock().not_before = None;
}

#[test]
fn a_refusal_of_the_same_keys_says_nothing_about_new_ones_and_the_source_is_asked_again() {
    let (cache, asked) = cache(|number| Ok(key(number / 4)));
    let old = cache.get(&bounds()).unwrap();
    for times in 2..=4 {
        assert!(!cache.refused(&old), "{times}");
        let_time_pass(&cache);
        assert_eq!(*cache.get(&bounds()).unwrap(), key(0), "they are sent again");
        assert_eq!(asked.load(Ordering::SeqCst), times);
    }
    assert!(!cache.refused(&old));
    let_time_pass(&cache);
    assert_eq!(*cache.get(&bounds()).unwrap(), key(1));
}

#[test]
fn a_source_that_gives_the_refused_keys_again_is_not_asked_at_once() {
    let (cache, asked) = cache(|_| Ok(key(0)));
    let old = cache.get(&bounds()).unwrap();
    assert!(!cache.refused(&old));
    cache.get(&bounds()).unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2, "the first refusal asks at once");
    let before = cache.state.lock().not_before.unwrap();
    assert!(before <= Instant::now() + ONCE_MORE);
    assert!(!cache.refused(&old));
    assert_eq!(cache.state.lock().not_before, Some(before), "the others wait for the time");
    // Far in the future, so that it does not expire.
    cache.state.lock().not_before = before.checked_add(Duration::from_secs(3_600));
    for _ in 0..3 {
        assert_eq!(*cache.get(&bounds()).unwrap(), key(0));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[test]
fn keys_that_differ_from_those_refused_before_and_are_refused_too_leave_no_hope() {
    let (cache, _) = cache(|number| Ok(key(number)));
    let first = cache.get(&bounds()).unwrap();
    assert!(!cache.refused(&first));
    let second = cache.get(&bounds()).unwrap();
    assert!(!cache.refused(&first), "a late refusal of the old ones");
    assert!(cache.refused(&second));
}

#[test]
fn keys_that_were_accepted_and_are_refused_later_begin_anew() {
    let (cache, _) = cache(|number| Ok(key(number)));
    for _ in 0..3 {
        let keys = cache.get(&bounds()).unwrap();
        cache.accepted(&keys);
        assert!(!cache.refused(&keys));
    }
    let keys = cache.get(&bounds()).unwrap();
    assert!(cache.refused(&keys));
}

#[test]
fn the_same_keys_may_be_accepted_after_all() {
    let (cache, asked) = cache(|_| Ok(key(0)));
    let keys = cache.get(&bounds()).unwrap();
    assert!(!cache.refused(&keys));
    let keys = cache.get(&bounds()).unwrap();
    cache.accepted(&keys);
    let_time_pass(&cache);
    cache.get(&bounds()).unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2, "accepted, they are asked for no more");
}

#[test]
fn a_pair_that_is_refused_has_no_others() {
    let keys = Arc::new(key(0));
    let cache = CredentialsCache::new(Source::Static(Arc::clone(&keys)));
    assert!(cache.refused(&keys));
}
