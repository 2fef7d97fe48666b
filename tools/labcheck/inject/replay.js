// Stands in for the lab's stream of events: the page is given frames that were recorded, each at
// the time at which it came.
window.EventSource = class {
  constructor() { window.labcheck.stream = this; }
};
window.labcheck.replay = async (frames) => {
  const felt = window.labcheck;
  felt.long.length = 0;
  const pause = (time) => new Promise((resolve) => { setTimeout(resolve, time); });
  const begin = performance.now();
  for (const { at, data } of frames) {
    await pause(begin + at - performance.now());
    felt.stream.onmessage({ data });
  }
  await pause(4000); // the last dots arrive
  return { took: performance.now() - begin, long: felt.long.splice(0) };
};
