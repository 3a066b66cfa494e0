// A receiver of pushes that speaks HTTP/2, and HTTP/1.1 where TLS lets a client choose:
//
//   node h2_receiver.mjs [KEY_AND_CERTIFICATE.pem]
//
// It says its port on the first line, and of each request its version, path and body on a line of JSON.

import { readFileSync } from 'node:fs';
import { createSecureServer, createServer } from 'node:http2';

const [file] = process.argv.slice(2);
const pem = file && readFileSync(file);
const server = file ? createSecureServer({ key: pem, cert: pem, allowHTTP1: true }) : createServer();
server.on('request', (request, response) => {
  const chunks = [];
  request.on('data', chunk => chunks.push(chunk));
  request.on('end', () => {
    const { httpVersion, url } = request;
    console.log(JSON.stringify({ version: httpVersion, path: url, body: Buffer.concat(chunks).toString() }));
    response.end();
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
