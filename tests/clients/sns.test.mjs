// SNS through the client that programs in JavaScript use, against the server at WEIR_URL, and the validator that checks what
// it sends them: over TLS, for the validator fetches certificates over nothing else.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { after, test } from "node:test";

import {
  ConfirmSubscriptionCommand,
  CreateTopicCommand,
  DeleteTopicCommand,
  GetSubscriptionAttributesCommand,
  InvalidParameterException,
  ListSubscriptionsByTopicCommand,
  NotFoundException,
  PublishBatchCommand,
  PublishCommand,
  SetSubscriptionAttributesCommand,
  SNSClient,
  SubscribeCommand,
  UnsubscribeCommand,
} from "@aws-sdk/client-sns";
import { CreateQueueCommand, GetQueueAttributesCommand, ReceiveMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import MessageValidator from "sns-validator";

const options = {
  endpoint: process.env.WEIR_URL,
  region: "us-east-1",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
  maxAttempts: 1,
};
const [sns, sqs] = [new SNSClient(options), new SQSClient(options)];
after(() => [sns, sqs].forEach((client) => client.destroy()));

async function makeTopic(Attributes = {}) {
  const { TopicArn } = await sns.send(new CreateTopicCommand({ Name: `js-${randomUUID()}`, Attributes }));
  return TopicArn;
}

// An endpoint: each call gives the next request that came.
async function endpoint() {
  const [came, waiting] = [[], []];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request.setEncoding("utf8")) body += part;
    response.end();
    const one = { headers: request.headers, body };
    if (waiting.length > 0) waiting.shift()(one);
    else came.push(one);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => server.close());
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    next: () => (came.length > 0 ? came.shift() : new Promise((resolve) => waiting.push(resolve))),
  };
}

const validator = new MessageValidator(/^127\.0\.0\.1:\d+$/);
const validate = (message) =>
  new Promise((resolve, reject) =>
    validator.validate(message, (error, valid) => (error ? reject(error) : resolve(valid))),
  );

for (const SignatureVersion of ["1", "2"]) {
  test(`an endpoint confirms, and the validator takes what it is sent, signed in version ${SignatureVersion}`, async () => {
    const [TopicArn, receiver] = [await makeTopic({ SignatureVersion }), await endpoint()];
    const asked = await sns.send(new SubscribeCommand({ TopicArn, Protocol: "http", Endpoint: receiver.url }));
    assert.equal(asked.SubscriptionArn, "pending confirmation");
    const request = await validate((await receiver.next()).body);
    assert.equal(request.Type, "SubscriptionConfirmation");
    const { SubscriptionArn } = await sns.send(new ConfirmSubscriptionCommand({ TopicArn, Token: request.Token }));
    const { Attributes } = await sns.send(new GetSubscriptionAttributesCommand({ SubscriptionArn }));
    assert.equal(Attributes.PendingConfirmation, "false");

    const MessageAttributes = { kind: { DataType: "String", StringValue: "order" } };
    const { MessageId } = await sns.send(
      new PublishCommand({ TopicArn, Message: "hello\nü", Subject: "S", MessageAttributes }),
    );
    const came = await receiver.next();
    assert.equal(came.headers["x-amz-sns-message-id"], MessageId);
    const message = await validate(came.body);
    assert.equal(message.Message, "hello\nü");
    assert.equal(message.SignatureVersion, SignatureVersion);
    await assert.rejects(validate({ ...message, Message: "forged" }), /signature is invalid/);

    await sns.send(new UnsubscribeCommand({ SubscriptionArn }));
    assert.equal((await receiver.next()).headers["x-amz-sns-message-type"], "UnsubscribeConfirmation");
    const { Subscriptions } = await sns.send(new ListSubscriptionsByTopicCommand({ TopicArn }));
    assert.deepEqual(Subscriptions ?? [], []);
  });
}

test("a queue gets what its filter lets through, from a batch", async () => {
  const TopicArn = await makeTopic();
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: `js-${randomUUID()}` }));
  const asked = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["QueueArn"] });
  const { QueueArn } = (await sqs.send(asked)).Attributes;
  const { SubscriptionArn } = await sns.send(
    new SubscribeCommand({
      TopicArn,
      Protocol: "sqs",
      Endpoint: QueueArn,
      Attributes: { FilterPolicy: '{"plan": ["pro"]}', RawMessageDelivery: "true" },
    }),
  );
  const entry = (Id, plan) => ({
    Id,
    Message: Id,
    MessageAttributes: { plan: { DataType: "String", StringValue: plan } },
  });
  const PublishBatchRequestEntries = [entry("a", "free"), entry("b", "pro")];
  const { Successful } = await sns.send(new PublishBatchCommand({ TopicArn, PublishBatchRequestEntries }));
  assert.deepEqual(Successful.map(({ Id }) => Id), ["a", "b"]);
  const received = async () => {
    const command = new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10 });
    return ((await sqs.send(command)).Messages ?? []).map(({ Body }) => Body);
  };
  assert.deepEqual(await received(), ["b"]);
  const AttributeName = "RawMessageDelivery";
  await sns.send(new SetSubscriptionAttributesCommand({ SubscriptionArn, AttributeName, AttributeValue: "false" }));
  const MessageAttributes = entry("c", "pro").MessageAttributes;
  await sns.send(new PublishCommand({ TopicArn, Message: "c", MessageAttributes }));
  const [envelope] = await received();
  assert.equal((await validate(envelope)).Message, "c");
});

test("errors have their classes", async () => {
  await assert.rejects(sns.send(new CreateTopicCommand({ Name: "a b" })), InvalidParameterException);
  const TopicArn = await makeTopic();
  await sns.send(new DeleteTopicCommand({ TopicArn }));
  await assert.rejects(sns.send(new PublishCommand({ TopicArn, Message: "x" })), NotFoundException);
});
