//! How a request names a function.

use weir_core::api::Namespace;

use super::{Fault, LATEST};
use crate::account_id;

/// The ARN of a function.
pub fn function_arn(region: &str, namespace: Namespace, name: &str) -> String {
    format!("arn:aws:lambda:{region}:{:012}:function:{name}", namespace.0)
}

/// A function as a request names it: by its name (`resize`), a part of its ARN (`123456789012:function:resize`) or all of it,
/// each with a qualifier behind a colon or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionName<'a> {
    /// The account, where it is named.
    pub namespace: Option<Namespace>,
    /// The name.
    pub name: &'a str,
}

impl<'a> FunctionName<'a> {
    /// Reads it. There is one version of a function: another `qualifier` than `$LATEST` names nothing.
    ///
    /// # Errors
    /// `InvalidParameterValueException` where it has none of these forms; `ResourceNotFoundException` for an alias or a
    /// version that there cannot be.
    pub fn parse(text: &'a str, qualifier: Option<&str>) -> Result<Self, Fault> {
        let bad = || {
            let quoted: String = text.chars().take(256).collect();
            Fault::invalid(format!(
                "FunctionName: must be a name, ACCOUNT:function:NAME or an ARN of a function, found {quoted}"
            ))
        };
        let parts: Vec<&str> = text.split(':').collect();
        let (account, name, inner) = match parts.as_slice() {
            [name] => (None, *name, None),
            [name, qualifier] => (None, *name, Some(*qualifier)),
            [account, "function", name] => (Some(*account), *name, None),
            [account, "function", name, qualifier] => (Some(*account), *name, Some(*qualifier)),
            ["arn", partition, "lambda", _, account, "function", name] if partition.starts_with("aws") => {
                (Some(*account), *name, None)
            }
            ["arn", partition, "lambda", _, account, "function", name, qualifier] if partition.starts_with("aws") => {
                (Some(*account), *name, Some(*qualifier))
            }
            _ => return Err(bad()),
        };
        let namespace = account.map(|account| account_id(account).ok_or_else(bad)).transpose()?;
        if name.is_empty() {
            return Err(bad());
        }
        if let (Some(inner), Some(outer)) = (inner, qualifier)
            && inner != outer
        {
            return Err(Fault::invalid(format!(
                "Qualifier: must be that of the function's name, {inner}, where both are given, found {outer}"
            )));
        }
        match inner.or(qualifier) {
            None | Some(LATEST) => Ok(Self { namespace, name }),
            Some(other) => Err(Fault::not_found(format!(
                "Function not found: {name}:{other}. A function has no versions and no aliases here, only $LATEST."
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_in_every_form_of_aws() {
        let here = Some(Namespace(42));
        for (text, namespace) in [
            ("resize", None),
            ("resize:$LATEST", None),
            ("000000000042:function:resize", here),
            ("000000000042:function:resize:$LATEST", here),
            ("arn:aws:lambda:eu-west-1:000000000042:function:resize", here),
            ("arn:aws-cn:lambda:eu-west-1:000000000042:function:resize:$LATEST", here),
        ] {
            let found = FunctionName::parse(text, Some(LATEST));
            assert_eq!(found, Ok(FunctionName { namespace, name: "resize" }), "{text}");
        }
    }

    #[test]
    fn what_names_no_function_is_refused() {
        for text in ["", "a:b:c", "42:function:a", "arn:aws:sqs:r:000000000042:function:a", "000000000042:function:"] {
            assert_eq!(FunctionName::parse(text, None).unwrap_err().code, "InvalidParameterValueException", "{text}");
        }
        for (text, qualifier) in [("a:7", None), ("a", Some("live"))] {
            let fault = FunctionName::parse(text, qualifier).unwrap_err();
            assert_eq!((fault.code, fault.status), ("ResourceNotFoundException", 404), "{text}");
        }
        assert_eq!(FunctionName::parse("a:$LATEST", Some("1")).unwrap_err().status, 400);
    }
}
