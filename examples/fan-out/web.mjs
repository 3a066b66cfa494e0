// The web server: whatever a user does is published once, and the user has an answer. Who wants to know is not its business.

import { randomUUID } from 'node:crypto';
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import express from 'express';

const sns = new SNSClient({
  endpoint: process.env.WEIR_URL, // the line that makes it Weir
  region: 'us-east-1',
  credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
});

const web = express();
web.use(express.json());

web.post('/actions', async (request, response) => {
  const action = { id: randomUUID(), ...request.body };
  await sns.send(
    new PublishCommand({
      TopicArn: process.env.TOPIC_ARN,
      Message: JSON.stringify(action),
      MessageAttributes: { event: { DataType: 'String', StringValue: action.event } },
    }),
  );
  response.status(202).json({ id: action.id });
});

const server = web.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
