// What stands behind the functions: makes mails of what the systems know. How much they can take, it need not know.

import express from 'express';

const { CMS, CRM, DB } = process.env;

const mailer = express();
mailer.use(express.json());

mailer.post('/campaign', async (request, response) => {
  const { to } = request.body;
  const parts = await Promise.all([get(`${CMS}/texts/spring`), get(`${CRM}/contacts/${to}`), get(`${DB}/segments/${to}`)]);
  response.json(send(to, parts));
});

mailer.post('/resets', async (request, response) => {
  const { to } = request.body;
  const parts = await Promise.all([get(`${CMS}/texts/reset`), get(`${CRM}/contacts/${to}`)]);
  response.json(send(to, parts));
});

/** What a system answers; what it refuses makes the request fail, and Weir tries again later. */
async function get(url) {
  const answer = await fetch(url);
  if (!answer.ok) {
    throw new Error(`${url} answers ${answer.status}`);
  }
  return answer.json();
}

function send(to, parts) {
  return { to, mail: parts.map(part => part.text).join('\n') };
}

const server = mailer.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
