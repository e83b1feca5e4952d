"use strict";
(() => {
  const table = document.getElementById("class-table");
  if (!table) return;
  const control = (id) => document.getElementById(id);
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const rows = [...body.rows].map((element, position) => ({
    element,
    position,
    state: element.dataset.state,
    codes: new Set(element.dataset.codes.split(" ")),
    flags: new Set(element.dataset.flags.split(" ")),
    words: element.dataset.words.toLocaleLowerCase(),
    cells: [...element.cells].map((cell) => cell.dataset.v ?? cell.textContent.trim()),
  }));

  // What is missing comes last, whichever way the rest is sorted.
  const compare = (column, numeric, sign) => (a, b) => {
    const [left, right] = [a.cells[column], b.cells[column]];
    if (left === "" || right === "") return (left === "") - (right === "") || a.position - b.position;
    const order = numeric ? Number(left) - Number(right)
      : left.localeCompare(right, undefined, { numeric: true });
    return sign * order || a.position - b.position;
  };
  const sortBy = (column, direction) => {
    const numeric = heads[column].classList.contains("num");
    rows.sort(compare(column, numeric, direction === "ascending" ? 1 : -1));
    body.append(...rows.map((row) => row.element));
    for (const head of heads) head.removeAttribute("aria-sort");
    heads[column].setAttribute("aria-sort", direction);
    control("sorted").textContent = `sorted by ${heads[column].textContent.trim()}, ${direction}`;
  };
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    button.addEventListener("click", () => {
      const first = head.classList.contains("num") ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      sortBy(column, head.getAttribute("aria-sort") === first ? other : first);
    });
  });

  const update = () => {
    const wanted = control("search").value.trim().toLocaleLowerCase();
    const state = control("state").value;
    const code = control("code").value;
    const flag = control("flag").value;
    let shown = 0;
    for (const row of rows) {
      const visible = row.words.includes(wanted)
        && (!state || row.state === state)
        && (!code || row.codes.has(code))
        && (!flag || row.flags.has(flag));
      row.element.hidden = !visible;
      shown += visible;
    }
    control("shown").textContent = `${shown} of ${rows.length} shown`;
    control("none-left").hidden = shown > 0;
  };
  control("search").addEventListener("input", update);
  for (const id of ["state", "code", "flag"]) control(id).addEventListener("change", update);
  control("reset").addEventListener("click", () => {
    for (const id of ["search", "state", "code", "flag"]) control(id).value = "";
    update();
  });
  for (const button of document.querySelectorAll("button.filter")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      for (const id of ["search", "state", "flag"]) control(id).value = "";
      control("code").value = button.dataset.code;
      update();
      control("class").scrollIntoView();
      control("code").focus({ preventScroll: true });
    });
  }
  document.querySelector(".tools").hidden = false;
  for (const head of heads) head.querySelector("button").disabled = false;
  // A browser that goes back restores what was chosen.
  addEventListener("pageshow", update);
  update();
})();
