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
// A fixed piece of work of the same kind: what it costs says how fast the machine is today.
window.labcheck.yardstick = (rounds) => {
  const box = document.body.appendChild(document.createElement("ol"));
  for (let round = 0; round < rounds; round += 1) {
    box.replaceChildren(...Array.from({ length: 200 }, (_, n) => {
      const item = document.createElement("li");
      item.textContent = `${round} times ${n} is ${round * n}`;
      return item;
    }));
    box.getBoundingClientRect(); // lays it out
  }
  box.remove();
  return true;
};
