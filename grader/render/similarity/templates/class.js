"use strict";
(() => {
  const tools = document.querySelector(".tools");
  if (!tools) return;
  const control = (id) => document.getElementById(id);
  const rows = [...control("rows").children].map((element) => ({
    element,
    names: element.dataset.names.toLocaleLowerCase(),
    channels: element.dataset.channels.split(" "),
    flagged: element.dataset.flagged === "1",
  }));
  const update = () => {
    const wanted = control("search").value.trim().toLocaleLowerCase();
    const channel = control("channel").value;
    const flagged = control("flagged").checked;
    let shown = 0;
    for (const row of rows) {
      const fits = row.names.includes(wanted)
        && (!channel || row.channels.includes(channel))
        && (!flagged || row.flagged);
      row.element.hidden = !fits;
      shown += fits;
    }
    control("shown").textContent = `${shown} of ${rows.length} shown`;
    control("none-left").hidden = shown > 0;
  };
  for (const id of ["search", "channel", "flagged"]) control(id).addEventListener("input", update);
  tools.hidden = false;
  update();
})();
