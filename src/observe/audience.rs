//! The receiver of notices.

use std::fmt;
use std::sync::Arc;

use crate::model::notice::Notice;

/// The callback for notices, if one is set.
#[derive(Clone, Default)]
pub(crate) struct Audience(Option<Arc<Tell>>);

type Tell = dyn Fn(&Notice) + Send + Sync;

impl Audience {
    pub(crate) fn new(listen: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listen)))
    }

    pub(crate) fn tell(&self, notice: &Notice) {
        if let Some(listen) = &self.0 {
            listen(notice);
        }
    }
}

impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Some(..)" } else { "None" })
    }
}
