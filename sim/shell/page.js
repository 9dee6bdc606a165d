"use strict";
// Zooming, searching, and going from a sign to its event. The lanes and the tables stand without it.
(() => {
  const ROWS = 200; // of the list of events at once
  const ZOOM_MAX = 4096;
  const RULER = 90; // pixels that a time takes
  const MICROSECONDS = 1e6;
  const STEPS = [1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 2e7, 3e7, 6e7, 12e7, 3e8, 6e8, 36e8, 864e8];

  const data = JSON.parse(document.getElementById("data").textContent);
  const { nodes, verbs, lines, knots } = data;
  const byId = (id) => document.getElementById(id);
  const scroller = document.querySelector(".scroller");
  const lanes = document.querySelector(".lanes");
  const ruler = byId("ruler");
  const cursor = byId("cursor");
  const rows = byId("events").tBodies[0];
  const filter = byId("filter");
  let zoom = 1;
  let chosen = -1; // a place in `lines`
  let first = 0; // the first place in `shown` that the list has
  let shown = lines.map((_, place) => place);

  document.documentElement.classList.add("scripted");

  // ------------------------------------------------------------------------------------------------------- time

  const along = (value, from, to) => {
    let low = 0;
    let high = knots.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (knots[middle][from] <= value) low = middle; else high = middle;
    }
    const [begin, end] = [knots[low], knots[high]];
    const part = end[from] > begin[from] ? (value - begin[from]) / (end[from] - begin[from]) : 0;
    return begin[to] + (end[to] - begin[to]) * Math.min(1, Math.max(0, part));
  };
  const placeOf = (us) => along(us, 0, 1);
  const timeOf = (place) => along(place, 1, 0);

  const clock = (us) => {
    const seconds = us / MICROSECONDS;
    if (seconds < 60) return `${+seconds.toFixed(3)} s`;
    const two = (number) => String(number).padStart(2, "0");
    const whole = Math.floor(seconds);
    const part = seconds - whole > 5e-4 ? `.${String(Math.round((seconds - whole) * 1e3)).padStart(3, "0")}` : "";
    const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
    if (days || hours) return `${days ? `${days} d ` : ""}${two(hours)}:${two(minutes)}:${two(whole % 60)}${part}`;
    return `${minutes}:${two(whole % 60)}${part}`;
  };

  const drawRuler = () => {
    const width = ruler.clientWidth;
    if (!width) return;
    const from = Math.max(0, scroller.scrollLeft / width - 0.1);
    const to = Math.min(1, (scroller.scrollLeft + scroller.clientWidth) / width + 0.1);
    const ticks = [];
    let free = -Infinity;
    for (let at = 0; at + 1 < knots.length; at += 1) {
      const [[begin, low], [end, high]] = [knots[at], knots[at + 1]];
      if (high < from || low > to || end <= begin) continue;
      const scale = ((high - low) * width) / (end - begin); // pixels in a microsecond
      const step = STEPS.find((each) => each * scale >= RULER);
      if (step === undefined) continue; // squeezed
      const last = Math.min(end, timeOf(to));
      for (let us = Math.ceil(Math.max(begin, timeOf(from)) / step) * step; us <= last; us += step) {
        const pixel = placeOf(us) * width;
        if (pixel < free) continue;
        free = pixel + RULER;
        const tick = document.createElement("i");
        tick.style.left = `${placeOf(us) * 100}%`;
        tick.textContent = clock(us);
        ticks.push(tick);
      }
    }
    ruler.replaceChildren(...ticks);
  };

  const setZoom = (wanted, at = 0.5) => {
    // `at`: which part of what is seen stays where it is
    const seen = scroller.clientWidth * at;
    const place = (scroller.scrollLeft + seen) / lanes.clientWidth;
    zoom = Math.min(ZOOM_MAX, Math.max(1, wanted));
    lanes.style.setProperty("--zoom", zoom);
    scroller.scrollLeft = place * lanes.clientWidth - seen;
    drawRuler();
  };

  // ----------------------------------------------------------------------------------------------------- events

  const cell = (text, title) => {
    const made = document.createElement("td");
    made.textContent = text;
    if (title) made.title = title;
    return made;
  };

  const list = () => {
    first = Math.max(0, Math.min(first, shown.length - 1));
    const some = shown.slice(first, first + ROWS);
    rows.replaceChildren(...some.map((place) => {
      const [event, us, node, verb, detail] = lines[place];
      const row = document.createElement("tr");
      row.dataset.place = place;
      if (place === chosen) row.setAttribute("aria-current", "true");
      row.append(cell(event), cell((us / MICROSECONDS).toFixed(6)), cell(nodes[node]), cell(verbs[verb][0], verbs[verb][2]), cell(detail));
      return row;
    }));
    const missing = data.missing ? ` ${data.missing.toLocaleString()} events are only in the trace.` : "";
    const range = some.length ? `${(first + 1).toLocaleString()} to ${(first + some.length).toLocaleString()} of ` : "";
    byId("told").textContent = `${range}${shown.length.toLocaleString()} events.${missing}`;
    byId("earlier").disabled = first === 0;
    byId("later").disabled = first + ROWS >= shown.length;
  };

  const sift = () => {
    const node = filter.elements.node.value;
    const kind = filter.elements.kind.value;
    const words = filter.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    shown = [];
    lines.forEach((line, place) => {
      const verb = verbs[line[3]];
      if (node && nodes[line[2]] !== node) return;
      if (kind && verb[1] !== kind) return;
      const text = `${nodes[line[2]]} ${verb[0]} ${line[4]}`.toLowerCase();
      if (words.every((word) => text.includes(word))) shown.push(place);
    });
    first = Math.max(0, shown.findIndex((place) => place >= chosen) - 5);
    list();
  };

  const choose = (place, { follow = true, lift = true } = {}) => {
    chosen = place;
    const us = lines[place][1];
    cursor.hidden = false;
    cursor.style.left = `${placeOf(us) * 100}%`;
    if (!shown.includes(place)) {
      filter.reset();
      sift();
    }
    first = Math.max(0, shown.indexOf(place) - 5);
    list();
    if (follow) scroller.scrollLeft = placeOf(us) * ruler.clientWidth - ruler.clientWidth / zoom / 2;
    if (lift) rows.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
    try {
      history.replaceState(null, "", `#e${lines[place][0]}`);
    } catch {
      // Some browsers let no page that is a file name a place in itself; the rest works all the same.
    }
  };

  const search = (compare) => {
    let low = 0;
    let high = lines.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(lines[middle])) high = middle; else low = middle + 1;
    }
    return Math.min(low, lines.length - 1);
  };

  const next = (word) => {
    const fits = (line) => verbs[line[3]][0] === word || (word === "refused" && / \(0x[0-9A-F]{4}, /.test(line[4]));
    for (let step = 1; step <= lines.length; step += 1) {
      const place = (chosen + step) % lines.length;
      if (fits(lines[place])) return choose(place, { lift: false });
    }
    byId("told").textContent = `Nothing of that kind in this run: ${word}.`;
  };

  const follow = () => {
    const found = /^#e(\d{1,9})$/.exec(location.hash);
    if (found && lines.length) choose(search((line) => line[0] >= +found[1]));
  };

  // ----------------------------------------------------------------------------------------------------- wiring

  for (const name of [...nodes].sort()) {
    const option = document.createElement("option");
    option.textContent = name;
    filter.elements.node.append(option);
  }
  filter.addEventListener("input", sift);
  filter.addEventListener("submit", (event) => event.preventDefault());
  byId("earlier").addEventListener("click", () => { first -= ROWS; list(); });
  byId("later").addEventListener("click", () => { first += ROWS; list(); });
  rows.addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (row) choose(+row.dataset.place, { lift: false });
  });
  lanes.addEventListener("click", (event) => {
    if (!lines.length) return;
    const mark = event.target.closest("[data-e]");
    if (mark) {
      choose(search((line) => line[0] >= +mark.dataset.e), { follow: false, lift: false });
      return;
    }
    const box = ruler.getBoundingClientRect();
    const us = timeOf((event.clientX - box.left) / box.width);
    if (event.clientX >= box.left) choose(search((line) => line[1] >= us), { follow: false, lift: false });
  });
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => setZoom(+button.dataset.zoom ? zoom * button.dataset.zoom : 1));
  }
  for (const button of document.querySelectorAll("[data-next]")) {
    button.addEventListener("click", () => lines.length && next(button.dataset.next));
  }
  scroller.addEventListener("keydown", (event) => {
    const factor = { "+": 2, "=": 2, "-": 0.5, "0": 0 }[event.key];
    if (factor === undefined || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    setZoom(factor ? zoom * factor : 1);
  });
  scroller.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    setZoom(zoom * (event.deltaY < 0 ? 1.25 : 0.8), (event.clientX - scroller.getBoundingClientRect().left) / scroller.clientWidth);
  }, { passive: false });
  scroller.addEventListener("scroll", drawRuler);
  addEventListener("resize", drawRuler);
  addEventListener("hashchange", follow);
  byId("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  drawRuler();
  list();
  follow();
})();
