"use strict";
(() => {
  const control = (id) => document.getElementById(id);
  const panes = [control("pane-l"), control("pane-r")];
  if (!panes[0] || !panes[1]) return;
  const joins = control("joins");

  // Every region with its lines on both sides; those without lines on a side are left out.
  const regions = [];
  panes.forEach((pane, side) => {
    for (const line of pane.querySelectorAll("[data-r]")) {
      const number = Number(line.dataset.r);
      regions[number] ??= { number, lines: [[], []], moved: false, colour: "" };
      regions[number].lines[side].push(line);
      regions[number].moved ||= line.classList.contains("moved");
      regions[number].colour = [...line.classList].find((name) => /^r\d$/.test(name)).slice(1);
    }
  });
  const shown = regions.filter((region) => region && region.lines[0].length && region.lines[1].length);

  const top = (pane, line) => line.getBoundingClientRect().top - pane.getBoundingClientRect().top + pane.scrollTop;
  const visible = (line) => line.getClientRects().length > 0;
  const extent = (region, side) => {
    const lines = region.lines[side];
    const first = lines[0], last = lines[lines.length - 1];
    if (!visible(first) || !visible(last)) return null;
    const start = top(panes[side], first);
    return [start, top(panes[side], last) + last.getBoundingClientRect().height];
  };

  // Heights at which both sides say the same, in the order of both: what scrolling keeps together.
  let anchors = [];
  const measure = () => {
    const places = shown
      .filter((region) => !region.moved)
      .map((region) => [extent(region, 0), extent(region, 1)])
      .filter(([left, right]) => left && right)
      .sort((a, b) => a[0][0] - b[0][0]);
    anchors = [[0, 0]];
    for (const [left, right] of places) {
      const [x, y] = anchors[anchors.length - 1];
      if (left[0] > x && right[0] > y) anchors.push([left[0], right[0]]);
      const [u, v] = anchors[anchors.length - 1];
      if (left[1] > u && right[1] > v) anchors.push([left[1], right[1]]);
    }
    const [x, y] = anchors[anchors.length - 1];
    anchors.push([Math.max(panes[0].scrollHeight, x + 1), Math.max(panes[1].scrollHeight, y + 1)]);
  };
  const carried = (from, height) => {
    const to = 1 - from;
    let index = 1;
    while (index < anchors.length - 1 && anchors[index][from] < height) index += 1;
    const [before, after] = [anchors[index - 1], anchors[index]];
    const part = (height - before[from]) / Math.max(after[from] - before[from], 1);
    return before[to] + part * (after[to] - before[to]);
  };

  const svg = "http://www.w3.org/2000/svg";
  const draw = () => {
    const width = joins.clientWidth, height = joins.clientHeight;
    joins.replaceChildren();
    if (!width) return;
    for (const region of shown) {
      const ends = [0, 1].map((side) => extent(region, side));
      if (!ends[0] || !ends[1]) continue;
      const [a, b] = ends[0].map((y) => y - panes[0].scrollTop);
      const [c, d] = ends[1].map((y) => y - panes[1].scrollTop);
      if ((b < 0 && d < 0) || (a > height && c > height)) continue;
      const path = document.createElementNS(svg, "path");
      const middle = width / 2;
      path.setAttribute("d", `M0,${a} C${middle},${a} ${middle},${c} ${width},${c} L${width},${d} C${middle},${d} ${middle},${b} 0,${b} Z`);
      path.setAttribute("class", `join j${region.colour}${region.moved ? " moved" : ""}`);
      joins.append(path);
    }
  };

  let waiting = false;
  const redraw = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  };
  // A pane that was scrolled by the script must not scroll the other one back.
  const expected = [null, null];
  const scroll = (side, height) => {
    const before = panes[side].scrollTop;
    panes[side].scrollTop = height;
    expected[side] = panes[side].scrollTop === before ? null : panes[side].scrollTop;
  };
  panes.forEach((pane, side) => {
    pane.addEventListener("scroll", () => {
      redraw();
      if (expected[side] !== null && Math.abs(pane.scrollTop - expected[side]) < 2) {
        expected[side] = null;
        return;
      }
      if (!control("together").checked) return;
      const third = pane.clientHeight / 3;
      scroll(1 - side, carried(side, pane.scrollTop + third) - panes[1 - side].clientHeight / 3);
    });
    pane.addEventListener("toggle", () => { measure(); redraw(); }, true);
  });

  let current = -1;
  const go = (index) => {
    if (!shown.length) return;
    current = (index + shown.length) % shown.length;
    const region = shown[current];
    for (const line of document.querySelectorAll(".ln.here")) line.classList.remove("here");
    [0, 1].forEach((side) => {
      const first = region.lines[side][0];
      first.closest("details").open = true;
      for (const line of region.lines[side]) line.classList.add("here");
    });
    measure();
    [0, 1].forEach((side) => {
      scroll(side, extent(region, side)[0] - panes[side].clientHeight / 3);
    });
    control("where").textContent = `Region ${region.number + 1}: ${current + 1} of ${shown.length}`;
    redraw();
  };
  control("next").addEventListener("click", () => go(current + 1));
  control("previous").addEventListener("click", () => go(current < 0 ? -1 : current - 1));
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    if (event.key === "n") go(current + 1);
    if (event.key === "p") go(current < 0 ? -1 : current - 1);
  });
  for (const link of document.querySelectorAll("[data-go]")) {
    link.addEventListener("click", () => go(shown.findIndex((region) => region.number === Number(link.dataset.go))));
  }
  // Both panes show everything for the printer; closed files are opened, and closed again.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const details of opened) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
  });
  addEventListener("resize", () => { measure(); redraw(); });
  document.querySelector("#source .tools").hidden = shown.length === 0;
  measure();
  redraw();
})();
