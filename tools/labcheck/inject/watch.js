// Runs in the lab's page before its own scripts, and measures what a visitor feels: how long after
// a click a button shows that it was pressed, and how long after it the lab says that it has begun.
{
  const felt = { shown: [], begun: [], long: [] };
  window.labcheck = felt;
  const drawn = (list, since) => requestAnimationFrame(() => list.push(performance.now() - since));
  const once = (target, changes, there, then) => {
    const observer = new MutationObserver(() => {
      if (!there()) return;
      observer.disconnect();
      then();
    });
    observer.observe(target, changes);
  };
  const newest = (action) => Math.max(0, ...[...document.querySelectorAll(
    `#tasks [data-action="${action}"]`)].map((e) => Number(e.dataset.task)));
  addEventListener("click", (event) => {
    const button = event.target.closest("button[data-act]");
    if (!button) return;
    const { act } = button.dataset;
    const before = newest(act);
    once(button, { attributes: true }, () => button.matches(".asked, .busy"),
      () => drawn(felt.shown, event.timeStamp));
    once(document.getElementById("tasks"), { childList: true }, () => newest(act) > before,
      () => drawn(felt.begun, event.timeStamp));
  }, true);
  new PerformanceObserver((list) => {
    for (const task of list.getEntries()) felt.long.push(task.duration);
  }).observe({ type: "longtask" });
}
