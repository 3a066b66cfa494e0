// A processor in a file of its own.
module.exports = async job => {
  await job.log('painting');
  await job.updateProgress(100);
  return `painted ${job.data.color}`;
};
