// <div data-live="URL" data-live-every="SECONDS"> is asked for as JSON so often, and each of its "parts"
// takes the place of what is inside [data-live-part="NAME"].  It ends when the answer says is_over.
// A part in which somebody selects text waits until they are done, or until the end.
// [data-live-told] is shown while answers come, [data-live-lost] while they do not.

const root = document.querySelector("[data-live]");
const told = document.querySelector("[data-live-told]");
const lost = document.querySelector("[data-live-lost]");
const shown = new Map();

const isSelectedIn = (part) => {
  const selection = document.getSelection();
  return !selection.isCollapsed && selection.getRangeAt(0).intersectsNode(part);
};

// a link that has the focus keeps it where its page is still linked to
const replace = (part, html) => {
  const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  part.innerHTML = html;
  if (focused !== null) {
    part.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
};

const show = (parts, isOver) => {
  for (const [name, html] of Object.entries(parts)) {
    const part = document.querySelector(`[data-live-part="${name}"]`);
    if (part && shown.get(name) !== html && (isOver || !isSelectedIn(part))) {
      shown.set(name, html);
      replace(part, html);
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
      const answer = await ask();
      isOver = answer.is_over;
      show(answer.parts, isOver);
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
