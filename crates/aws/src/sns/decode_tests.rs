use proptest::prelude::*;

use super::*;

fn read(body: &str) -> Result<Request<'static>, Fault> {
    // The tests are short: what they read may stay.
    let form = Box::leak(Box::new(Form::parse("/", b"", Box::leak(body.to_owned().into_boxed_str()).as_bytes())?));
    decode(operation(form)?, form)
}

#[test]
fn requests_are_read_as_sdks_send_them() {
    let Request::CreateTopic(create) = read(
        "Action=CreateTopic&Version=2010-03-31&Name=orders.fifo&Attributes.entry.1.key=FifoTopic&Attributes.entry.1.value=true&Tags.member.1.Key=team&Tags.member.1.Value=mail",
    )
    .unwrap() else {
        panic!()
    };
    assert_eq!(create.name.as_deref(), Some("orders.fifo"));
    assert_eq!(create.attributes, Some(Pairs(vec![("FifoTopic".into(), "true".into())])));
    assert_eq!(create.tags, Some(Pairs(vec![("team".into(), "mail".into())])));
    let Request::Subscribe(subscribe) = read(
        "Action=Subscribe&TopicArn=arn&Protocol=sqs&Endpoint=queue&ReturnSubscriptionArn=true&Attributes.entry.1.key=RawMessageDelivery&Attributes.entry.1.value=true",
    )
    .unwrap() else {
        panic!()
    };
    assert!(subscribe.return_arn && subscribe.attributes.is_some_and(|attributes| attributes.0.len() == 1));
    let Request::Publish(publish) = read(
        "Action=Publish&TopicArn=arn&Message=a+b&Subject=s&MessageAttributes.entry.1.Name=n&MessageAttributes.entry.1.Value.DataType=Binary&MessageAttributes.entry.1.Value.BinaryValue=AQI%3D",
    )
    .unwrap() else {
        panic!()
    };
    assert_eq!(publish.message.message.as_deref(), Some("a b"));
    let attributes = publish.message.attributes.unwrap();
    assert_eq!(attributes.0[0].1.binary_value.as_deref(), Some("AQI="));
    let Request::PublishBatch(batch) = read(
        "Action=PublishBatch&TopicArn=arn&PublishBatchRequestEntries.member.1.Id=a&PublishBatchRequestEntries.member.1.Message=x&PublishBatchRequestEntries.member.2.Id=b&PublishBatchRequestEntries.member.2.Message=y&PublishBatchRequestEntries.member.2.MessageGroupId=g",
    )
    .unwrap() else {
        panic!()
    };
    let entries = batch.entries.unwrap();
    assert_eq!((entries.len(), entries[1].message.group_id.as_deref()), (2, Some("g")));
    let Request::AddPermission(add) = read(
        "Action=AddPermission&Version=2010-03-31&TopicArn=arn&Label=l&AWSAccountId.member.1=000000000001&ActionName.member.1=Publish&ActionName.member.2=Subscribe",
    )
    .unwrap() else {
        panic!()
    };
    assert_eq!((add.account_ids.unwrap().len(), add.actions.unwrap().len()), (1, 2));
    let Request::UntagResource(untag) = read("Action=UntagResource&ResourceArn=arn&TagKeys.member.1=k").unwrap() else {
        panic!()
    };
    assert_eq!(untag.tag_keys, Some(vec!["k".into()]));
}

#[test]
fn a_form_is_told_from_one_to_another_service() {
    let meant = |body: &str| is_meant(&Form::parse("/", b"", body.as_bytes()).unwrap());
    assert!(meant("Action=AddPermission&Version=2010-03-31"));
    assert!(!meant("Action=Publish&Version=2012-11-05"));
    assert!(meant("Action=Publish") && meant("Action=GetSMSAttributes") && meant("Action=AddPermission&TopicArn=x"));
    assert!(!meant("Action=AddPermission&QueueUrl=x") && !meant("Action=SendMessage") && !meant(""));
}

#[test]
fn what_is_not_served_is_said_so() {
    let fault = read("Action=CreatePlatformApplication&Version=2010-03-31").unwrap_err();
    assert_eq!(fault.code, Code::UnsupportedOperation);
    assert!(fault.message.contains("CreatePlatformApplication is not supported"));
    assert_eq!(read("Action=Fly&Version=2010-03-31").unwrap_err().code, Code::InvalidAction);
    assert_eq!(read("Action=Subscribe&ReturnSubscriptionArn=maybe").unwrap_err().code, Code::InvalidParameter);
}

proptest! {
    #[test]
    fn any_form_is_read_or_refused(parts in prop::collection::vec(("[A-Za-z.0-9]{0,30}", "[a-z%+]{0,5}"), 0..8), at in 0..Operation::ALL.len()) {
        let body: Vec<String> = parts.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let body = body.join("&");
        if let Ok(form) = Form::parse("/", b"", body.as_bytes()) {
            let _ = decode(Operation::ALL[at], &form);
        }
    }
}
