//! A role that a profile names, or the environment.

use std::path::PathBuf;

use crate::aws::credentials::place::Place;
use crate::aws::credentials::search::Search;
use crate::aws::credentials::sts::Call;
use crate::aws::credentials::unavailable::Unavailable;
use crate::aws::credentials::{Credentials, file};

/// The name of a session whose profile gives it none.
pub(crate) const SESSION: &str = "kinesis-consumer";

/// A role, and the name of the session in which it acts.
pub(crate) struct Role {
    pub(crate) arn: String,
    pub(crate) session: String,
    /// In seconds, from 900 to 43,200.
    pub(crate) duration: Option<String>,
    pub(crate) external_id: Option<String>,
}

/// A role that the keys of another place may assume.
pub(crate) struct Assumed {
    pub(crate) role: Role,
    pub(crate) source: Place,
}

/// A role for the identity that a token in a file proves.
pub(crate) struct WebIdentity {
    pub(crate) role: Role,
    pub(crate) token: PathBuf,
    /// The variable or setting that names the file.
    pub(crate) setting: &'static str,
}

impl Role {
    fn call<'a>(
        &'a self,
        action: &'static str,
        more: impl IntoIterator<Item = (&'static str, &'a str)>,
    ) -> Call<'a> {
        let mut settings = vec![("RoleSessionName", self.session.as_str())];
        settings.extend(self.duration.as_deref().map(|it| ("DurationSeconds", it)));
        settings.extend(more);
        Call { action, role: &self.arn, settings }
    }
}

impl Assumed {
    /// Gets the keys of the source first.
    pub(crate) fn keys(&self, search: &Search<'_>) -> Result<Credentials, Unavailable> {
        let source = self.source.keys(search)?;
        source.check().map_err(Unavailable::for_now)?;
        let external_id = self.role.external_id.as_deref().map(|it| ("ExternalId", it));
        self.role.call("AssumeRole", external_id).keys(search, Some(&source))
    }
}

impl WebIdentity {
    /// The token is read anew each time: it is replaced before it expires.
    pub(crate) fn keys(&self, search: &Search<'_>) -> Result<Credentials, Unavailable> {
        let token = file::read_line(&self.token)
            .map_err(|why| Unavailable::for_now(format!("{}, {why}", self.setting)))?;
        let token = [("WebIdentityToken", token.as_str())];
        self.role.call("AssumeRoleWithWebIdentity", token).keys(search, None)
    }
}
