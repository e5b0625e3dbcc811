// <form data-busy="WORDS"> that was sent says so in its [data-busy-told] until the answer comes, which may
// take a while, and is not sent a second time.  Whoever comes back to the page finds it as it was.

for (const form of document.querySelectorAll("form[data-busy]")) {
  const told = form.querySelector("[data-busy-told]");
  const button = form.querySelector("[type=submit]");

  const say = (isBusy) => {
    form.ariaBusy = String(isBusy);
    button.ariaDisabled = String(isBusy);  // not disabled: that would take the focus away
    told.textContent = isBusy ? form.dataset.busy : "";
  };

  form.addEventListener("submit", (sending) => {
    if (form.ariaBusy === "true") {
      sending.preventDefault();
    } else {
      say(true);
    }
  });
  addEventListener("pageshow", () => say(false));
}
