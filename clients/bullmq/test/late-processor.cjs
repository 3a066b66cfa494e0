// A processor that ends its process when a job takes longer than its data allows, after telling how far it came.
module.exports = async job => {
  const timer = setTimeout(async () => {
    await job.updateProgress({ cleaned: true });
    process.exit(10);
  }, job.data.timeout);
  await new Promise(resolve => setTimeout(resolve, job.data.takes));
  clearTimeout(timer);
  return 'in time';
};
