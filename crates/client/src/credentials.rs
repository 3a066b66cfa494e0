//! The key that requests are signed with.

use crate::error::Error;

/// An access key.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) session_token: Option<String>,
    pub(crate) region: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Credentials {
    /// A key of these two halves.
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { id: id.into(), secret: secret.into(), session_token: None, region: "us-east-1".to_owned() }
    }

    /// The token of a session, where the key is for one.
    pub fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }

    /// The key that variables name, if they do: `WEIR_ACCESS_KEY_ID` and `WEIR_SECRET_ACCESS_KEY`, or else those of AWS.
    /// Errors: `HalfAKey`.
    pub fn find(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, Error> {
        let get = |name: &str| variable(name).filter(|value| !value.is_empty());
        let region = get("AWS_REGION").or_else(|| get("AWS_DEFAULT_REGION")).unwrap_or_else(|| "us-east-1".to_owned());
        for prefix in ["WEIR", "AWS"] {
            let (id_name, secret_name) = (format!("{prefix}_ACCESS_KEY_ID"), format!("{prefix}_SECRET_ACCESS_KEY"));
            match (get(&id_name), get(&secret_name)) {
                (Some(id), Some(secret)) => {
                    let session_token = if prefix == "AWS" { get("AWS_SESSION_TOKEN") } else { None };
                    return Ok(Some(Self { id, secret, session_token, region }));
                }
                (None, None) => {}
                (Some(_), None) => return Err(Error::HalfAKey { set: id_name, missing: secret_name }),
                (None, Some(_)) => return Err(Error::HalfAKey { set: secret_name, missing: id_name }),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(set: &[(&str, &str)]) -> Result<Option<Credentials>, Error> {
        Credentials::find(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn our_own_variables_win_over_those_of_aws() {
        let aws = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_SESSION_TOKEN", "t")];
        let found = find(&aws).unwrap().unwrap();
        assert_eq!((found.id.as_str(), found.session_token.as_deref()), ("a", Some("t")));
        let both = [&aws[..], &[("WEIR_ACCESS_KEY_ID", "w"), ("WEIR_SECRET_ACCESS_KEY", "x")]].concat();
        let found = find(&both).unwrap().unwrap();
        assert_eq!((found.id.as_str(), found.session_token), ("w", None));
        assert_eq!(find(&[]).unwrap(), None);
    }

    #[test]
    fn half_a_key_is_refused_by_name() {
        let error = find(&[("WEIR_ACCESS_KEY_ID", "w")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "WEIR_ACCESS_KEY_ID is set but WEIR_SECRET_ACCESS_KEY is not: set both or neither"
        );
    }

    #[test]
    fn credentials_do_not_show_their_secret() {
        let found = find(&[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "hush")]).unwrap();
        assert!(!format!("{found:?}").contains("hush"));
    }
}
