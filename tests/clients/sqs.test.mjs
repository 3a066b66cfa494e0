// SQS through the clients that programs in JavaScript use, against the server at WEIR_URL.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { after, test } from "node:test";

import {
  ChangeMessageVisibilityCommand,
  CreateQueueCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  ListDeadLetterSourceQueuesCommand,
  ListMessageMoveTasksCommand,
  ListQueueTagsCommand,
  QueueDoesNotExist,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
  StartMessageMoveTaskCommand,
  TagQueueCommand,
} from "@aws-sdk/client-sqs";
import { Consumer } from "sqs-consumer";
import { Producer } from "sqs-producer";

const sqs = new SQSClient({
  endpoint: process.env.WEIR_URL,
  region: "us-east-1",
  credentials: {
    accessKeyId: process.env.WEIR_ACCESS_KEY_ID ?? "test",
    secretAccessKey: process.env.WEIR_SECRET_ACCESS_KEY ?? "test",
  },
  maxAttempts: 1,
});
after(() => sqs.destroy());

async function makeQueue(Attributes = {}, suffix = "") {
  const QueueName = `js-${randomUUID()}${suffix}`;
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName, Attributes }));
  return QueueUrl;
}

const receive = async (QueueUrl, options = {}) => {
  const command = new ReceiveMessageCommand({
    QueueUrl,
    MaxNumberOfMessages: 10,
    MessageSystemAttributeNames: ["All"],
    MessageAttributeNames: ["All"],
    ...options,
  });
  return (await sqs.send(command)).Messages ?? [];
};

const attributes = async (QueueUrl, ...AttributeNames) =>
  (await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames }))).Attributes;

test("a message goes round with its attributes, and the SDK agrees with the checksums", async () => {
  const QueueUrl = await makeQueue();
  const MessageAttributes = {
    kind: { DataType: "String", StringValue: "mail" },
    weight: { DataType: "Number", StringValue: "12.5" },
    raw: { DataType: "Binary", BinaryValue: new Uint8Array([0, 255, 7]) },
  };
  await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: "žluťoučký 🐎", MessageAttributes }));
  const [message] = await receive(QueueUrl);
  assert.equal(message.Body, "žluťoučký 🐎");
  assert.deepEqual(message.MessageAttributes.raw.BinaryValue, new Uint8Array([0, 255, 7]));
  assert.equal(message.MessageAttributes.weight.StringValue, "12.5");
  assert.equal(message.Attributes.ApproximateReceiveCount, "1");
  await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: message.ReceiptHandle }));
  assert.equal((await attributes(QueueUrl, "ApproximateNumberOfMessagesNotVisible")).ApproximateNumberOfMessagesNotVisible, "0");
});

test("an error is an instance of the SDK's class, with the old code beside it", async () => {
  const send = sqs.send(new SendMessageCommand({ QueueUrl: `${process.env.WEIR_URL}/000000000000/none`, MessageBody: "x" }));
  await assert.rejects(send, (error) => {
    assert.ok(error instanceof QueueDoesNotExist, error.name);
    assert.equal(error.$metadata.httpStatusCode, 400);
    return true;
  });
});

test("a FIFO queue keeps the order of a group and sends a duplicate once", async () => {
  const QueueUrl = await makeQueue({ FifoQueue: "true" }, ".fifo");
  const Entries = [1, 2, 3, 3].map((n, i) => ({
    Id: `e${i}`,
    MessageBody: `${n}`,
    MessageGroupId: "g",
    MessageDeduplicationId: `d${n}`,
  }));
  const sent = await sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
  assert.equal(sent.Successful.length, 4);
  assert.equal(sent.Successful[2].SequenceNumber, sent.Successful[3].SequenceNumber);
  assert.deepEqual((await receive(QueueUrl)).map((m) => m.Body), ["1", "2", "3"]);
  assert.deepEqual(await receive(QueueUrl), []);
});

test("visibility zero gives a message back to a waiting long poll", async () => {
  const QueueUrl = await makeQueue();
  await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: "again" }));
  const [message] = await receive(QueueUrl);
  const waiting = receive(QueueUrl, { WaitTimeSeconds: 20 });
  const { ReceiptHandle } = message;
  await sqs.send(new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout: 0 }));
  const [again] = await waiting;
  assert.equal(again.MessageId, message.MessageId);
  assert.equal(again.Attributes.ApproximateReceiveCount, "2");
});

test("dead letters are found, listed and moved back", async () => {
  const dead = await makeQueue();
  const { QueueArn: deadLetterTargetArn } = await attributes(dead, "QueueArn");
  const source = await makeQueue({
    VisibilityTimeout: "0",
    RedrivePolicy: JSON.stringify({ deadLetterTargetArn, maxReceiveCount: 1 }),
  });
  await sqs.send(new SendMessageCommand({ QueueUrl: source, MessageBody: "poison" }));
  assert.equal((await receive(source)).length, 1);
  assert.deepEqual(await receive(source), []);
  const listed = await sqs.send(new ListDeadLetterSourceQueuesCommand({ QueueUrl: dead }));
  assert.deepEqual(listed.queueUrls, [source]);
  const { TaskHandle } = await sqs.send(new StartMessageMoveTaskCommand({ SourceArn: deadLetterTargetArn }));
  assert.ok(TaskHandle);
  const [moved] = await receive(source, { WaitTimeSeconds: 20 });
  assert.equal(moved.Body, "poison");
  const tasks = await sqs.send(new ListMessageMoveTasksCommand({ SourceArn: deadLetterTargetArn }));
  assert.equal(tasks.Results.length, 1);
  assert.equal(tasks.Results[0].ApproximateNumberOfMessagesMoved, 1);
});

test("tags come back", async () => {
  const QueueUrl = await makeQueue();
  await sqs.send(new TagQueueCommand({ QueueUrl, Tags: { team: "mail", cost: "low" } }));
  const { Tags } = await sqs.send(new ListQueueTagsCommand({ QueueUrl }));
  assert.deepEqual(Tags, { team: "mail", cost: "low" });
});

test("sqs-producer sends and sqs-consumer handles each message once, in batches, with a failed one again", async () => {
  const queueUrl = await makeQueue({ VisibilityTimeout: "30" });
  const producer = Producer.create({ queueUrl, sqs, region: "us-east-1" });
  const bodies = Array.from({ length: 50 }, (_, n) => `message ${n}`);
  await producer.send(bodies.map((body, n) => ({ id: `n${n}`, body })));
  assert.equal(await producer.queueSize(), 50);

  const handled = new Map();
  const failedOnce = new Set();
  const consumer = Consumer.create({
    queueUrl,
    sqs,
    batchSize: 10,
    waitTimeSeconds: 20,
    terminateVisibilityTimeout: true,
    handleMessage: async (message) => {
      if (message.Body.endsWith("7") && !failedOnce.has(message.Body)) {
        failedOnce.add(message.Body);
        throw new Error("not yet");
      }
      handled.set(message.Body, (handled.get(message.Body) ?? 0) + 1);
      if (handled.size === bodies.length) consumer.emit("all");
      return message;
    },
  });
  const errors = [];
  consumer.on("error", (error) => errors.push(error));
  consumer.on("processing_error", () => {});
  const all = once(consumer, "all");
  consumer.start();
  await all;
  const stopped = once(consumer, "stopped");
  consumer.stop({ abort: true });
  await stopped;
  assert.deepEqual(errors, []);
  assert.equal(failedOnce.size, 5);
  assert.deepEqual([...handled.values()], bodies.map(() => 1));
});
