// <label hidden data-tick-all-label><input type="checkbox" data-tick-all></label> ticks and unticks
// every <input data-tick> of its form.

for (const all of document.querySelectorAll("[data-tick-all]")) {
  const rows = [...all.form.querySelectorAll("[data-tick]")];
  const follow = () => {
    const ticked = rows.filter((row) => row.checked).length;
    all.checked = ticked === rows.length;
    all.indeterminate = ticked > 0 && ticked < rows.length;
  };
  all.addEventListener("change", () => rows.forEach((row) => { row.checked = all.checked; }));
  rows.forEach((row) => row.addEventListener("change", follow));
  all.closest("[data-tick-all-label]").hidden = false;
  follow();
}
