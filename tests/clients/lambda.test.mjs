// Lambda through the client that programs in JavaScript use, against the server at WEIR_URL, which may call this machine:
// the functions are a server of Node.js.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, test } from "node:test";

import {
  CreateEventSourceMappingCommand,
  DeleteEventSourceMappingCommand,
  GetEventSourceMappingCommand,
  GetFunctionCommand,
  InvokeCommand,
  LambdaClient,
  ListEventSourceMappingsCommand,
  ListFunctionsCommand,
  ResourceNotFoundException,
  UpdateEventSourceMappingCommand,
} from "@aws-sdk/client-lambda";
import { CreateQueueCommand, GetQueueAttributesCommand, SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";

const options = {
  endpoint: process.env.WEIR_URL,
  region: "us-east-1",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
  maxAttempts: 1,
};
const lambda = new LambdaClient(options);
const sqs = new SQSClient(options);

/** What functions do, by the path of their URL. */
const functions = new Map();
const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  const { status = 200, headers = {}, result } = functions.get(request.url)(JSON.parse(Buffer.concat(chunks)));
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(result));
}).listen(0, "127.0.0.1");
await once(server, "listening");
after(() => {
  lambda.destroy();
  sqs.destroy();
  server.close();
  server.closeAllConnections();
});

/** Makes a function that does this; its name. */
async function makeFunction(act) {
  const name = `js-${randomUUID()}`;
  functions.set(`/${name}`, act);
  const url = `http://127.0.0.1:${server.address().port}/${name}`;
  const put = await fetch(`${process.env.WEIR_URL}/v1/functions/${name}`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ url }),
  });
  assert.ok(put.ok, await put.text());
  return name;
}

const invoke = (FunctionName, payload, more = {}) =>
  lambda.send(new InvokeCommand({ FunctionName, Payload: JSON.stringify(payload), ...more }));
const read = ({ Payload }) => JSON.parse(Payload.transformToString());

test("a function is called and its result comes back", async () => {
  const name = await makeFunction(({ n }) => ({ result: { doubled: 2 * n } }));
  const answer = await invoke(name, { n: 21 });
  assert.deepEqual([answer.StatusCode, answer.FunctionError], [200, undefined]);
  assert.deepEqual(read(answer), { doubled: 42 });
});

test("an error of a function is told as one", async () => {
  const error = { errorMessage: "no", errorType: "TypeError" };
  const name = await makeFunction(() => ({ headers: { "x-amz-function-error": "Unhandled" }, result: error }));
  const answer = await invoke(name, {});
  assert.deepEqual([answer.StatusCode, answer.FunctionError], [200, "Unhandled"]);
  assert.deepEqual(read(answer), error);
});

test("an event is taken and worked on later, and a dry run calls nothing", async () => {
  const name = await makeFunction(event => {
    came(event);
    return {};
  });
  let came;
  const first = new Promise(resolve => (came = resolve));
  assert.equal((await invoke(name, { n: 0 }, { InvocationType: "DryRun" })).StatusCode, 204);
  assert.equal((await invoke(name, { n: 1 }, { InvocationType: "Event" })).StatusCode, 202);
  assert.deepEqual(await first, { n: 1 });
});

test("functions are looked at and listed, and those that are not there have their error", async () => {
  const name = await makeFunction(() => ({}));
  const { Configuration } = await lambda.send(new GetFunctionCommand({ FunctionName: name }));
  assert.equal(Configuration.FunctionName, name);
  const { Functions } = await lambda.send(new ListFunctionsCommand({}));
  assert.ok(Functions.some(({ FunctionArn }) => FunctionArn === Configuration.FunctionArn));
  await assert.rejects(invoke("nobody", {}), ResourceNotFoundException);
});

test("messages of a queue come to the function that is mapped to it", async () => {
  let came;
  const records = new Promise(resolve => (came = resolve));
  const name = await makeFunction(event => {
    came(event.Records);
    return {};
  });
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: `js-${randomUUID()}` }));
  const asked = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["QueueArn"] });
  const EventSourceArn = (await sqs.send(asked)).Attributes.QueueArn;
  const { UUID } = await lambda.send(
    new CreateEventSourceMappingCommand({ FunctionName: name, EventSourceArn, BatchSize: 5 }),
  );
  const { EventSourceMappings } = await lambda.send(new ListEventSourceMappingsCommand({ EventSourceArn }));
  assert.deepEqual(EventSourceMappings.map(mapping => mapping.UUID), [UUID]);

  await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: "hello" }));
  const [record] = await records;
  assert.deepEqual([record.body, record.eventSourceARN, record.eventSource], ["hello", EventSourceArn, "aws:sqs"]);

  const changed = await lambda.send(new UpdateEventSourceMappingCommand({ UUID, BatchSize: 3, Enabled: false }));
  assert.deepEqual([changed.BatchSize, changed.State], [3, "Disabled"]);
  await lambda.send(new DeleteEventSourceMappingCommand({ UUID }));
  await assert.rejects(lambda.send(new GetEventSourceMappingCommand({ UUID })), ResourceNotFoundException);
});
