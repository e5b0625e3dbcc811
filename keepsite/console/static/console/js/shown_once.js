// <code data-shown-once> holds what may be seen once; <button data-copy hidden> copies it.
// Whoever leaves the page takes nothing back: it is emptied before the browser keeps it.

const shown = document.querySelector("[data-shown-once]");
const button = document.querySelector("[data-copy]");
const told = document.querySelector("[data-copied]");

const select = () => {
  const range = document.createRange();
  range.selectNodeContents(shown);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
};

button.addEventListener("click", async () => {
  let copied = false;
  if (navigator.clipboard) {
    copied = await navigator.clipboard.writeText(shown.textContent).then(() => true, () => false);
  }
  if (!copied) {  // no secure context, or no permission: the old way
    select();
    copied = document.execCommand("copy");
  }
  told.textContent = copied ? told.dataset.copied : told.dataset.failed;
});
button.hidden = false;

addEventListener("pagehide", () => { shown.textContent = ""; });
