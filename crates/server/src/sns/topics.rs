//! Operations on topics themselves.

use weir_aws::sns::arn::check_name;
use weir_aws::sns::fault::{invalid, missing, no_topic};
use weir_aws::sns::request::{CreateTopic, OnTopic, PutDataProtectionPolicy, SetAttribute};
use weir_aws::sns::{Answer, topic};
use weir_aws::{Code, Fault};
use weir_core::api::topic::{Topic, TopicConfig};
use weir_core::api::{Command, Error, Reply};
use weir_shard::Refused;

use super::refusal::{self, engine_fault};
use super::{Door, TRIES, tags};
use crate::engine::{Engine, call};
use crate::http::Content;
use crate::sqs::Refusal;

impl<E: Engine> Door<'_, E> {
    pub(super) async fn create_topic(&self, request: CreateTopic<'_>) -> Result<Content, Refusal> {
        let namespace = self.call.caller.map(|caller| caller.namespace).unwrap_or_default();
        let name = request.name.as_deref().filter(|name| !name.is_empty()).ok_or_else(|| missing("Name"))?;
        let kind = check_name(name)?;
        let asked = request.attributes.unwrap_or_default();
        let limits = &self.app.config.limits;
        let data_protection = request.data_protection_policy.as_deref();
        let config = topic::create(kind, &asked, data_protection, limits)?;
        let tags = tags::of(request.tags.as_ref())?;
        for _ in 0..TRIES {
            if let Some(found) = self.directory().topic(namespace, name) {
                // What the request does not name may have any value.
                let mut same = found.config.clone();
                for (name, value) in asked.0.iter().filter(|(name, _)| name != "FifoTopic") {
                    topic::set(&mut same, kind, name, value, limits)?;
                }
                if let Some(policy) = data_protection {
                    topic::set_data_protection(&mut same, policy)?;
                }
                if let Some(attribute) = topic::first_difference(&found.config, &same) {
                    return Err(topic::exists(&attribute).into());
                }
                if request.tags.is_some() && tags != found.tags {
                    return Err(invalid("Tags", "Topic already exists with different tags").into());
                }
                return Ok(self.answer(&Answer::Topic(&self.topic_arn(&found))));
            }
            let (name, config, tags) = (name.to_owned(), config.clone(), tags.clone());
            let command = Command::CreateTopic { namespace, name, kind, config, tags, seed: rand::random() };
            match call(&self.app.engine, command).await {
                Ok(answered) => match answered.reply {
                    Reply::Topic { topic, .. } => return Ok(self.answer(&Answer::Topic(&self.topic_arn(&topic)))),
                    _ => return Err(Fault::internal().into()),
                },
                // Somebody else was first: what they created is compared.
                Err(Refused::Engine(Error::TopicExists { .. })) => {}
                Err(refused) => return Err(refusal::of(refused)),
            }
        }
        Err(engine_fault(&Error::TopicStale { version: 0 }).into())
    }

    pub(super) async fn delete_topic(&self, request: &OnTopic<'_>) -> Result<Content, Refusal> {
        let topic = match self.topic("TopicArn", request.topic_arn.as_deref()) {
            Ok((topic, _)) => topic,
            // What is gone already needs no deletion.
            Err(fault) if fault.code == Code::NotFound => return Ok(self.answer(&Answer::Done)),
            Err(fault) => return Err(fault.into()),
        };
        match call(&self.app.engine, Command::DeleteTopic { topic: topic.id }).await {
            Ok(_) | Err(Refused::Engine(Error::TopicNotFound)) => {}
            Err(refused) => return Err(refusal::of(refused)),
        }
        Ok(self.answer(&Answer::Done))
    }

    pub(super) async fn topic_attributes(&self, request: &OnTopic<'_>) -> Result<Content, Refusal> {
        let (topic, _) = self.topic("TopicArn", request.topic_arn.as_deref())?;
        let Reply::TopicStats { topic, subscriptions: (all, pending), .. } =
            self.call(Command::TopicStats { topic: topic.id }).await?
        else {
            return Err(Fault::internal().into());
        };
        let attributes = topic::list(&topic, self.region(), (all.saturating_sub(pending), pending));
        Ok(self.answer(&Answer::Attributes(&attributes)))
    }

    pub(super) async fn set_topic_attribute(&self, request: &SetAttribute<'_>) -> Result<Content, Refusal> {
        let (name, value) = topic::asked(request.name.as_deref(), request.value.as_deref())?;
        let limits = &self.app.config.limits;
        self.reconfigure("TopicArn", request.arn.as_deref(), |topic, config| {
            topic::set(config, topic.kind, name, value, limits)
        })
        .await
    }

    pub(super) fn data_protection(&self, request: &OnTopic<'_>) -> Result<Content, Refusal> {
        let (topic, _) = self.topic("ResourceArn", request.topic_arn.as_deref())?;
        Ok(self.answer(&Answer::DataProtectionPolicy(topic::data_protection(&topic.config))))
    }

    pub(super) async fn set_data_protection(&self, request: &PutDataProtectionPolicy<'_>) -> Result<Content, Refusal> {
        let policy = request.policy.as_deref().ok_or_else(|| missing("DataProtectionPolicy"))?;
        self.reconfigure("ResourceArn", request.resource_arn.as_deref(), |_, config| {
            topic::set_data_protection(config, policy)
        })
        .await
    }

    /// Changes the configuration of a topic: `change` is asked again where another change comes between.
    pub(super) async fn reconfigure(
        &self,
        parameter: &str,
        arn: Option<&str>,
        change: impl Fn(&Topic, &mut TopicConfig) -> Result<(), Fault>,
    ) -> Result<Content, Refusal> {
        for _ in 0..TRIES {
            let (topic, _) = self.topic(parameter, arn)?;
            let mut config = topic.config.clone();
            change(&topic, &mut config)?;
            if config == topic.config {
                return Ok(self.answer(&Answer::Done));
            }
            let command = Command::ConfigureTopic { topic: topic.id, version: topic.version, config };
            match call(&self.app.engine, command).await {
                Ok(_) => return Ok(self.answer(&Answer::Done)),
                Err(Refused::Engine(Error::TopicStale { .. })) => {}
                Err(Refused::Engine(Error::TopicNotFound)) => return Err(no_topic().into()),
                Err(refused) => return Err(refusal::of(refused)),
            }
        }
        Err(engine_fault(&Error::TopicStale { version: 0 }).into())
    }
}
