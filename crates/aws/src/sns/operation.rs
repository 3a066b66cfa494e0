//! The operations of the service.

macro_rules! operations {
    ($($operation:ident),+ $(,)?; not served: $($unserved:ident),+ $(,)?) => {
        /// An operation that is served: those on topics, subscriptions and publications.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each variant is the operation of its name")]
        pub enum Operation {
            $($operation),+
        }

        impl Operation {
            /// Every operation that is served.
            pub const ALL: &[Operation] = &[$(Operation::$operation),+];

            /// Its name on the wire.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Operation::$operation => stringify!($operation)),+
                }
            }
        }

        /// The operations that there are and that are not served: those of mobile push and of text messages.
        pub const UNSERVED: &[&str] = &[$(stringify!($unserved)),+];
    };
}

operations!(
    AddPermission,
    ConfirmSubscription,
    CreateTopic,
    DeleteTopic,
    GetDataProtectionPolicy,
    GetSubscriptionAttributes,
    GetTopicAttributes,
    ListSubscriptions,
    ListSubscriptionsByTopic,
    ListTagsForResource,
    ListTopics,
    Publish,
    PublishBatch,
    PutDataProtectionPolicy,
    RemovePermission,
    SetSubscriptionAttributes,
    SetTopicAttributes,
    Subscribe,
    TagResource,
    Unsubscribe,
    UntagResource;
    not served:
    CheckIfPhoneNumberIsOptedOut,
    CreatePlatformApplication,
    CreatePlatformEndpoint,
    CreateSMSSandboxPhoneNumber,
    DeleteEndpoint,
    DeletePlatformApplication,
    DeleteSMSSandboxPhoneNumber,
    GetEndpointAttributes,
    GetPlatformApplicationAttributes,
    GetSMSAttributes,
    GetSMSSandboxAccountStatus,
    ListEndpointsByPlatformApplication,
    ListOriginationNumbers,
    ListPhoneNumbersOptedOut,
    ListPlatformApplications,
    ListSMSSandboxPhoneNumbers,
    OptInPhoneNumber,
    SetEndpointAttributes,
    SetPlatformApplicationAttributes,
    SetSMSAttributes,
    VerifySMSSandboxPhoneNumber,
);

impl Operation {
    /// The operation called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operation| operation.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_served_or_not() {
        for operation in Operation::ALL {
            assert_eq!(Operation::from_name(operation.name()), Some(*operation));
            assert!(!UNSERVED.contains(&operation.name()));
        }
        assert_eq!(Operation::ALL.len() + UNSERVED.len(), 42);
        assert_eq!(Operation::from_name("Fly"), None);
    }
}
