// A mail provider that bans whoever sends too fast, for good.

import { createServer } from 'node:http';

const max = Number(process.env.MAX);
const windowMs = Number(process.env.WINDOW_MS);
// Between the start of a mail at the server and its arrival here lies a network: the provider allows for a little of it.
const SLACK_MS = 500;

const mails = [];
let banned = false;

const server = createServer(async (request, response) => {
  const answer = (status, body) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  if (request.method === 'GET') {
    return answer(200, { banned, mails });
  }
  let text = '';
  for await (const chunk of request) {
    text += chunk;
  }
  const now = Date.now();
  const { id } = JSON.parse(text);
  banned ||= mails.filter(mail => mail.at > now - windowMs + SLACK_MS).length >= max;
  if (banned) {
    return answer(403, { error: 'you are banned' });
  }
  mails.push({ id, at: now });
  return answer(200, { message: mails.length });
});

server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
