"use strict";
(() => {
  // Closed details are opened for the printer, and closed again afterwards.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const details of opened) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
  });

  const list = document.getElementById("shots");
  if (!list) return;
  const control = (id) => document.getElementById(id);
  const shots = [...list.children].map((element) => {
    const data = element.dataset;
    const known = data.iou !== "";
    return {
      element,
      iou: known ? Number(data.iou) : 1,
      low: known && Number(data.iou) < 0.5,
      wrong: data.wrong === "1",
      masked: data.mask === "1",
      name: data.name,
      label: data.label,
      words: [data.name, data.label, data.predicted].join("\n").toLocaleLowerCase(),
    };
  });
  const keep = {
    all: () => true,
    wrong: (shot) => shot.wrong,
    low: (shot) => shot.low,
    nomask: (shot) => !shot.masked,
  };
  const text = (a, b) => a.localeCompare(b, undefined, { numeric: true });
  const compare = {
    worst: (a, b) => a.iou - b.iou || b.wrong - a.wrong,
    best: (a, b) => b.iou - a.iou || a.wrong - b.wrong,
    label: (a, b) => text(a.label, b.label) || a.iou - b.iou,
    name: (a, b) => text(a.name, b.name),
  };

  const update = () => {
    const fits = keep[control("filter").value];
    const wanted = control("search").value.trim().toLocaleLowerCase();
    let shown = 0;
    for (const shot of [...shots].sort(compare[control("sort").value])) {
      const visible = fits(shot) && shot.words.includes(wanted);
      shot.element.hidden = !visible;
      shown += visible;
      list.append(shot.element);
    }
    control("shown").textContent = `${shown} of ${shots.length} shown`;
    control("none-left").hidden = shown > 0;
  };
  for (const id of ["filter", "sort"]) control(id).addEventListener("change", update);
  control("search").addEventListener("input", update);
  control("large").addEventListener("change", (event) => {
    list.classList.toggle("large", event.target.checked);
  });
  document.querySelector(".tools").hidden = false;
  update();
})();
