// Makes one thumbnail. `weir work` runs it for each job: the data on standard input, the result on standard output.

import { json } from 'node:stream/consumers';
import sharp from 'sharp';

const NEVER_AGAIN = 65; // to Weir: it has failed, and another attempt would, too

const { from, to, width } = await json(process.stdin);
try {
  const made = await sharp(from).rotate().resize({ width }).webp().toFile(to);
  console.log(JSON.stringify({ file: to, width: made.width, height: made.height }));
} catch (error) {
  console.error(`${from}: ${error.message}`);
  process.exitCode = NEVER_AGAIN;
}
