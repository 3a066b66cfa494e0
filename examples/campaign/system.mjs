// A system that mails are made from: CMS, CRM, or the database of segments. It counts its calls, and fails when they are too many.

import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

const takesMs = Number(process.env.TAKES_MS);
const atOnce = Number(process.env.AT_ONCE ?? Infinity);
const max = Number(process.env.MAX ?? Infinity);
// Between the start of a job at the server and its call here lies a network: a rate allows for a little of it.
const SLACK_MS = 500;
const windowMs = Number(process.env.WINDOW_MS ?? SLACK_MS) - SLACK_MS;

let underWay = 0;
let mostUnderWay = 0;
let calls = 0;
let refused = 0;
const lately = [];

const server = createServer(async (request, response) => {
  const answer = (status, body) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  if (request.url === '/report') {
    return answer(200, { calls, mostUnderWay, refused });
  }
  calls += 1;
  underWay += 1;
  mostUnderWay = Math.max(mostUnderWay, underWay);
  const now = Date.now();
  while (lately[0] <= now - windowMs) {
    lately.shift();
  }
  lately.push(now);
  const overloaded = underWay > atOnce || lately.length > max;
  await pause(takesMs);
  underWay -= 1;
  if (overloaded) {
    refused += 1;
    return answer(503, { error: 'overloaded' });
  }
  return answer(200, { text: `what ${process.env.NAME} has for ${request.url}` });
});

server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
