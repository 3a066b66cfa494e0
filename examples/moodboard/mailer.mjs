// The mailer: leases what may be sent now, sends it, and settles it with the request for more.

const mails = `${process.env.WEIR_URL}/v1/queues/mails`;

console.log(JSON.stringify({ ready: true }));
for (let settle = []; ; ) {
  const { jobs } = await ask('/lease', { max: 5, wait_ms: 20_000, settle });
  settle = await Promise.all(jobs.map(job => work(job)));
}

/** One mail: how its lease is to be settled. */
async function work(job) {
  try {
    const { children } = await ask(`/jobs/${job.id}/children`);
    send(job.data.to, job.data.upload, children.map(child => child.result));
    return { lease: job.lease };
  } catch (error) {
    return { lease: job.lease, action: 'fail', error: error.message };
  }
}

function send(to, upload, thumbnails) {
  console.log(JSON.stringify({ to, upload, thumbnails }));
}

async function ask(path, body) {
  const options = body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const answer = await fetch(mails + path, options);
  if (!answer.ok) {
    throw new Error(`Weir answers ${answer.status}: ${await answer.text()}`);
  }
  return answer.json();
}
