// <div data-live="URL" data-live-every="SECONDS"> is asked for as JSON so often, and each of its "parts"
// takes the place of what is inside [data-live-part="NAME"].  It ends when the answer says is_over.
// A part that somebody is in, by keyboard or by selecting, waits until they have left, or until the end.
// [data-live-told] is shown while answers come, [data-live-lost] while they do not.

const root = document.querySelector("[data-live]");
const told = document.querySelector("[data-live-told]");
const lost = document.querySelector("[data-live-lost]");
const shown = new Map();

const isInUse = (part) => {
  const selection = document.getSelection();
  return part.contains(document.activeElement)
    || (!selection.isCollapsed && selection.getRangeAt(0).intersectsNode(part));
};

const show = (parts, isOver) => {
  for (const [name, html] of Object.entries(parts)) {
    const part = document.querySelector(`[data-live-part="${name}"]`);
    if (part && shown.get(name) !== html && (isOver || !isInUse(part))) {
      shown.set(name, html);
      part.innerHTML = html;
    }
  }
};

const ask = async () => {
  const answer = await fetch(root.dataset.live, { headers: { Accept: "application/json" } });
  if (!answer.ok || answer.redirected) {  // redirected: to the log-in
    throw new Error(String(answer.status));
  }
  return answer.json();
};

const refresh = async () => {
  let isOver = false;
  if (!document.hidden) {
    try {
      const status = await ask();
      isOver = status.is_over;
      show(status.parts, isOver);
      lost.hidden = true;
      told.hidden = isOver;
    } catch {
      lost.hidden = false;
      told.hidden = true;
    }
  }
  if (!isOver) {
    setTimeout(refresh, 1000 * Number(root.dataset.liveEvery));
  }
};

refresh();
