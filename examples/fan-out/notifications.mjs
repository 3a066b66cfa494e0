// Notifications, as users of SQS write them: a mail for each course that was bought.

import { GetQueueUrlCommand, SQSClient } from '@aws-sdk/client-sqs';
import { Consumer } from 'sqs-consumer';

const sqs = new SQSClient({
  endpoint: process.env.WEIR_URL, // the line that makes it Weir
  region: 'us-east-1',
  credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
});
const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: 'notifications' }));

const consumer = Consumer.create({
  sqs,
  queueUrl: QueueUrl,
  batchSize: 10,
  terminateVisibilityTimeout: true, // what failed is tried again at once
  handleMessage: async message => {
    const action = JSON.parse(message.Body);
    // Delivery is at least once; nobody wants the same mail twice.
    if (!sent.has(action.id)) {
      send(action);
      sent.add(action.id);
      console.log(JSON.stringify({ action: action.id }));
    }
    return message;
  },
});

function send({ mail }) {
  if (!mail.includes('@')) {
    throw new Error(`there is no mailbox ${mail}`);
  }
}

const sent = new Set();

consumer.on('error', error => console.error('notifications:', error.message));
consumer.on('processing_error', error => console.error('notifications:', error.message));
consumer.start();
console.log(JSON.stringify({ ready: true }));
