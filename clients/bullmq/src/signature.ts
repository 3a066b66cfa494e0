// AWS Signature Version 4, which Weir's native API takes from servers with access keys, for the service `weir`.

import { createHash, createHmac } from 'node:crypto';

/** An access key of the server. */
export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const mac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();

/** The headers that sign a request. `path` is as it is sent, with its query. */
export function sign(
  credentials: Credentials,
  request: { method: string; host: string; path: string; body: string; at: Date },
): Record<string, string> {
  const { method, host, path, body, at } = request;
  const time = at.toISOString().replace(/[-:]|\.\d+/g, '');
  const scope = `${time.slice(0, 8)}/us-east-1/weir/aws4_request`;
  const hash = sha256(body);
  const [where = '/', query = ''] = path.split('?', 2);
  // Each segment of the path is encoded once more than it is sent, as for every service but S3.
  const canonicalPath = where.split('/').map(encode).join('/');
  const canonicalQuery = query.split('&').filter(Boolean).map(pair => (pair.includes('=') ? pair : `${pair}=`)).sort().join('&');
  const headers = `host:${host}\nx-amz-content-sha256:${hash}\nx-amz-date:${time}\n`;
  const names = 'host;x-amz-content-sha256;x-amz-date';
  const canonical = [method, canonicalPath, canonicalQuery, headers, names, hash].join('\n');
  const text = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n');
  let key = mac(`AWS4${credentials.secretAccessKey}`, time.slice(0, 8));
  for (const part of ['us-east-1', 'weir', 'aws4_request']) {
    key = mac(key, part);
  }
  const signature = createHmac('sha256', key).update(text).digest('hex');
  return {
    'x-amz-date': time,
    'x-amz-content-sha256': hash,
    authorization: `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
  };
}

/** Percent-encoding as RFC 3986 has it: all but letters, digits and four marks. */
export function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, mark => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}
