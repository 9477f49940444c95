"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

  // An element with properties and children. Text is always a text node, never markup.
  const make = (tag, properties, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties || {})) {
      if (name in element) element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };
  const digits = (value, count) => Number(value.toPrecision(count || 3)).toString();
  const percent = (share) => (share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0) + " %";

  // ---- the chart ----

  const line = data.timeline;
  const times = new Float64Array(bytesOf(line.times).buffer);
  const high = new Float32Array(bytesOf(line.high).buffer);
  const low = line.low === null ? high : new Float32Array(bytesOf(line.low).buffer);
  const flags = bytesOf(line.flags);
  const [ALERT, ANOMALOUS] = [1, 4];
  const isAlert = (i) => (flags[i] & ALERT) !== 0;
  const perPoint = line.packets_per_point;
  const numberOf = (i) => i * perPoint + 1;
  const canvas = $("chart");
  const axis = $("axis");
  const LEFT = 44, RIGHT = 12, TOP = 12, BOTTOM = 40;

  let timeEnd = 0, timeStart = 0, highest = Math.max(0, ...line.thresholds.map((t) => t[1]));
  for (let i = 0; i < times.length; i++) {
    if (times[i] > timeEnd) timeEnd = times[i];
    if (times[i] < timeStart) timeStart = times[i];
    if (high[i] > highest) highest = high[i];
  }
  highest *= 1.08;
  const labelled = flags.some((flag) => flag & ANOMALOUS);

  const place = (i) => (axis.value === "time" ? times[i] : numberOf(i));
  const whole = () => (axis.value === "time" ? [timeStart, Math.max(timeEnd, timeStart + 1e-6)] : [1, Math.max(line.packets, 2)]);
  let view = whole();
  let chosen = null;
  let brush = null;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const clock = (seconds, span) => {
    const date = new Date(line.start_ms + seconds * 1000);
    const text = date.toISOString();
    if (span > 3 * 86400) return text.slice(0, 10);
    if (span > 180) return text.slice(11, 16);
    if (span > 3) return text.slice(11, 19);
    return text.slice(11, 23);
  };
  const named = (value, span) => (axis.value === "time" ? clock(value, span) : String(Math.round(value)));

  const steps = (span, most) => {
    const rough = span / most;
    const minutes = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400];
    if (axis.value === "time" && rough > 1 && rough <= 86400) return minutes.find((step) => step >= rough);
    const power = 10 ** Math.floor(Math.log10(rough));
    return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
  };

  function draw() {
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width) return;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const [from, to] = view;
    const span = to - from;
    const inner = width - LEFT - RIGHT, floor = height - BOTTOM;
    const x = (value) => LEFT + ((value - from) / span) * inner;
    const y = (score) => floor - (score / highest) * (floor - TOP);
    const ink = colour("--ink"), faint = colour("--faint"), grid = colour("--line");
    pen.font = "12px system-ui, sans-serif";

    pen.strokeStyle = grid;
    pen.fillStyle = faint;
    pen.lineWidth = 1;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    const level = highest > 40 ? 20 : highest > 16 ? 5 : highest > 6 ? 2 : 1;
    for (let score = 0; score <= highest; score += level) {
      pen.beginPath();
      pen.moveTo(LEFT, y(score));
      pen.lineTo(width - RIGHT, y(score));
      pen.stroke();
      pen.fillText(score, LEFT - 6, y(score));
    }
    pen.textAlign = "center";
    pen.textBaseline = "top";
    const step = steps(span, Math.max(2, inner / 90));
    // Clock times are rounded on the clock, not from the start of the capture.
    const origin = axis.value === "time" ? (line.start_ms / 1000) % 86400 : 0;
    for (let at = Math.ceil((from + origin) / step) * step - origin; at <= to; at += step) {
      pen.fillText(named(at, span), Math.min(Math.max(x(at), LEFT + 12), width - RIGHT - 24), floor + 18);
      pen.fillRect(x(at), floor, 1, 4);
    }

    // Of each column of pixels the lowest and the highest score, the highest alert, and whether a label is anomalous.
    const columns = Math.max(1, Math.round(inner * ratio));
    const least = new Float32Array(columns).fill(Infinity), most = new Float32Array(columns).fill(-Infinity);
    const alert = new Float32Array(columns).fill(-Infinity), attack = new Uint8Array(columns);
    for (let i = 0; i < high.length; i++) {
      const at = place(i);
      if (at < from || at > to) continue;
      const column = Math.min(columns - 1, Math.floor(((at - from) / span) * columns));
      if (flags[i] & ANOMALOUS) attack[column] = 1;
      if (high[i] !== high[i]) continue;
      if (low[i] < least[column]) least[column] = low[i];
      if (high[i] > most[column]) most[column] = high[i];
      if (isAlert(i) && high[i] > alert[column]) alert[column] = high[i];
    }
    const at = (column) => LEFT + (column + 0.5) / ratio;
    if (labelled) {
      pen.fillStyle = colour("--label");
      for (let c = 0; c < columns; c++) if (attack[c]) pen.fillRect(at(c) - 0.5, floor + 6, Math.max(1 / ratio, 1), 7);
    }
    if (chosen) {
      pen.fillStyle = colour("--accent");
      pen.globalAlpha = 0.15;
      const [first, last] = chosen.map((number) => x(place(Math.floor((number - 1) / perPoint))));
      pen.fillRect(Math.max(first - 3, LEFT), TOP, Math.max(Math.min(last + 3, width - RIGHT) - Math.max(first - 3, LEFT), 0), floor - TOP);
      pen.globalAlpha = 1;
    }
    pen.strokeStyle = colour("--score");
    pen.lineWidth = Math.max(1 / ratio, 0.75);
    pen.beginPath();
    for (let c = 0; c < columns; c++) {
      if (most[c] < 0 || most[c] === -Infinity) continue;
      pen.moveTo(at(c), y(least[c]) + 0.75);
      pen.lineTo(at(c), y(most[c]) - 0.75);
    }
    pen.stroke();
    pen.textAlign = "left";
    pen.textBaseline = "bottom";
    for (const [name, value] of line.thresholds) {
      pen.strokeStyle = ink;
      pen.setLineDash([5, 4]);
      pen.beginPath();
      pen.moveTo(LEFT, y(value));
      pen.lineTo(width - RIGHT, y(value));
      pen.stroke();
      pen.setLineDash([]);
      const text = name + " " + value.toFixed(2);
      pen.fillStyle = colour("--card");
      pen.globalAlpha = 0.8;
      pen.fillRect(LEFT + 3, y(value) - 17, pen.measureText(text).width + 6, 15);
      pen.globalAlpha = 1;
      pen.fillStyle = ink;
      pen.fillText(text, LEFT + 6, y(value) - 3);
    }
    pen.fillStyle = colour("--alert");
    for (let c = 0; c < columns; c++) {
      if (alert[c] === -Infinity) continue;
      pen.beginPath();
      pen.arc(at(c), y(alert[c]), 2.25, 0, 7);
      pen.fill();
    }
    if (brush) {
      pen.fillStyle = colour("--accent");
      pen.globalAlpha = 0.2;
      pen.fillRect(Math.min(...brush), TOP, Math.abs(brush[1] - brush[0]), floor - TOP);
      pen.globalAlpha = 1;
    }
    const many = perPoint > 1 ? ` Each point stands for ${perPoint} packets.` : "";
    const unit = axis.value === "time" ? " UTC" : "";
    $("range").textContent = `Shown: ${axis.value === "time" ? "" : "packets "}${named(from, Math.min(span, 100))} to ${named(to, Math.min(span, 100))}${unit}.${many}`;
    canvas.dataset.from = from;
    canvas.dataset.to = to;
  }

  let waiting = false;
  const redraw = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  };
  function show(from, to) {
    const [first, last] = whole();
    const span = Math.min(Math.max(to - from, (last - first) * 1e-6), last - first);
    const start = Math.min(Math.max(from, first), last - span);
    view = [start, start + span];
    redraw();
  }
  const zoom = (factor, share) => {
    const [from, to] = view;
    const centre = from + (to - from) * share;
    show(centre - (centre - from) * factor, centre + (to - centre) * factor);
  };
  const move = (share) => show(view[0] + (view[1] - view[0]) * share, view[1] + (view[1] - view[0]) * share);
  const actions = {
    in: () => zoom(0.5, 0.5), out: () => zoom(2, 0.5), left: () => move(-0.25), right: () => move(0.25),
    all: () => show(...whole()),
  };
  for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", actions[button.dataset.do]);
  const keys = { "+": "in", "=": "in", "-": "out", ArrowLeft: "left", ArrowRight: "right", 0: "all", Home: "all" };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    actions[keys[event.key]]();
  });
  axis.addEventListener("change", () => show(...whole()));

  const share = (event) => {
    const box = canvas.getBoundingClientRect();
    return Math.min(Math.max((event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT), 0), 1);
  };
  canvas.addEventListener("wheel", (event) => {
    const [first, last] = whole();
    // Fully zoomed out, the wheel scrolls the page on.
    if (event.deltaY > 0 && view[1] - view[0] >= last - first) return;
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, share(event));
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    const x = event.clientX - canvas.getBoundingClientRect().left;
    brush = [x, x];
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!brush) return;
    brush[1] = event.clientX - canvas.getBoundingClientRect().left;
    redraw();
  });
  canvas.addEventListener("pointercancel", () => {
    brush = null;
    redraw();
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!brush) return;
    const inner = canvas.clientWidth - LEFT - RIGHT;
    const ends = brush.map((x) => view[0] + (Math.min(Math.max((x - LEFT) / inner, 0), 1)) * (view[1] - view[0]));
    const wide = Math.abs(brush[1] - brush[0]) > 5;
    brush = null;
    if (wide) show(Math.min(...ends), Math.max(...ends));
    else openNear(view[0] + share(event) * (view[1] - view[0]));
  });
  // The event of the alert nearest to a place of the chart, at most 8 pixels away.
  function openNear(value) {
    redraw();
    let best = -1, distance = (8 / (canvas.clientWidth - LEFT - RIGHT)) * (view[1] - view[0]);
    for (let i = 0; i < flags.length; i++) {
      if (!isAlert(i) || Math.abs(place(i) - value) > distance) continue;
      distance = Math.abs(place(i) - value);
      best = i;
    }
    if (best < 0) return;
    const [first, last] = [numberOf(best), numberOf(best) + perPoint - 1];
    const near = bodies.filter((body) => rangeOf(body)[0] <= last && rangeOf(body)[1] >= first);
    near.sort((a, b) => (rangeOf(a)[1] - rangeOf(a)[0]) - (rangeOf(b)[1] - rangeOf(b)[0]));
    if (!near.length) return;
    near[0].hidden = false;
    open(near[0], true);
    near[0].querySelector(".open").focus();
    near[0].scrollIntoView({ block: "start" });
  }
  new ResizeObserver(redraw).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  window.addEventListener("beforeprint", draw);
  window.addEventListener("afterprint", redraw);
  draw();

  // ---- the table of events ----

  const table = $("table");
  if (!table) return;
  const bodies = [...table.tBodies];
  const rangeOf = (body) => [Number(body.dataset.first), Number(body.dataset.last)];
  const NUMBERS = new Set(["index", "first", "alerts", "score"]);
  const compare = {
    true: (key) => (a, b) => Number(a.dataset[key]) - Number(b.dataset[key]),
    false: (key) => (a, b) => a.dataset[key].localeCompare(b.dataset[key], "en", { numeric: true }),
  };
  for (const button of table.tHead.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      const header = button.closest("th"), key = button.dataset.key;
      const before = header.getAttribute("aria-sort");
      // What is large is looked for first.
      const natural = key === "score" || key === "alerts" ? "descending" : "ascending";
      const other = natural === "ascending" ? "descending" : "ascending";
      const way = before === natural ? other : natural;
      for (const cell of table.tHead.querySelectorAll("th")) cell.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", way);
      const sign = way === "ascending" ? 1 : -1;
      const by = compare[NUMBERS.has(key)](key);
      bodies.sort((a, b) => sign * by(a, b) || a.dataset.index - b.dataset.index);
      table.append(...bodies);
    });
  }

  const filters = ["filter", "by", "attack"].map($).filter((element) => element);
  function filter() {
    const words = $("filter").value.toLowerCase().split(/\s+/).filter((word) => word);
    const by = $("by").value, attack = $("attack") ? $("attack").value : "";
    let shown = 0;
    for (const body of bodies) {
      const text = `${body.rows[0].textContent} ${body.dataset.by}`.toLowerCase();
      const fits = words.every((word) => text.includes(word)) && (!by || body.dataset.by === by)
        && (!attack || body.dataset.attack === attack);
      body.hidden = !fits;
      shown += fits;
    }
    $("count").textContent = `${shown} of ${bodies.length} event${bodies.length === 1 ? "" : "s"}`;
    $("none").hidden = shown > 0;
  }
  for (const element of filters) element.addEventListener("input", filter);
  filter();

  function open(body, want) {
    const button = body.querySelector(".open"), row = body.querySelector(".detail");
    const opens = want === undefined ? row.hidden : want;
    row.hidden = !opens;
    body.classList.toggle("opened", opens);
    button.setAttribute("aria-expanded", String(opens));
    chosen = opens ? rangeOf(body) : null;
    if (opens && !row.cells[0].firstChild) row.cells[0].append(...detail(data.events[body.dataset.index]));
    redraw();
  }
  for (const body of bodies) {
    body.rows[0].addEventListener("click", () => {
      if (!String(getSelection())) open(body);
    });
  }

  // ---- one event ----

  function detail(event) {
    const box = make("div");
    const picker = make("div", { className: "tools", role: "group", "aria-label": "Alert packets of this event" });
    const buttons = event.packets.map((packet) => {
      const peak = packet.number === event.peak;
      return make("button", { type: "button", "aria-pressed": "false", onclick: () => choose(packet) },
        `Packet ${packet.number}${peak && event.packets.length > 1 ? ", strongest" : ""}`);
    });
    const choose = (packet) => {
      buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(event.packets[i] === packet)));
      box.replaceChildren(...onePacket(packet));
    };
    picker.append(...buttons);
    if (event.alerts > event.packets.length) {
      picker.append(make("span", { className: "note" }, `${event.packets.length} of ${event.alerts} packets are kept here`));
    }
    const peak = event.packets.find((packet) => packet.number === event.peak) || event.packets[0];
    if (!peak) return [make("p", {}, "No packet of this event was kept.")];
    choose(peak);
    return [...mattered(event), picker, box];
  }

  function onePacket(packet) {
    const facts = [
      ["time (UTC)", packet.time.replace("T", " ").replace("Z", "")],
      ["from", packet.from], ["to", packet.to], ["protocol", packet.protocol],
      ["reason", packet.reason],
      ["found", packet.findings.map(([kind, score, threshold]) => `${kind} ${digits(score)}, limit ${digits(threshold)}`).join("; ")],
      ["strength", digits(packet.strength)],
      packet.length === null ? null : ["captured", `${packet.length} bytes`],
      packet.label === null ? null : ["label", packet.label],
    ];
    const list = make("dl", { className: "facts" });
    for (const fact of facts) if (fact) list.append(make("div", {}, make("dt", {}, fact[0]), make("dd", {}, fact[1])));
    return [list, ...shares(packet), ...evidence(packet)];
  }

  // Names and shares of 1, as bars.
  function bars(title, className, rows) {
    const body = make("tbody");
    for (const [name, part] of rows) {
      const bar = make("span", { className: "bar", "aria-hidden": "true" });
      bar.style.width = `${Math.max(part, 0) * 100}%`;
      body.append(make("tr", {}, make("td", {}, name), make("td", {}, bar), make("td", { className: "number" }, percent(part))));
    }
    return [make("h3", {}, title), make("table", { className: `shares ${className}`, "aria-label": title }, body)];
  }
  const shares = (packet) => bars("Share of each detector in the strength", "of-detectors", packet.shares);

  function mattered(event) {
    if (!event.fields.length) return [];
    const note = "Over the event's packets that are kept here: relevance for the autoencoder and, for the other detectors, what their scores are made of, weighted by their shares in the highest strength.";
    return [...bars(`Alert ${event.number}: the fields that mattered`, "of-fields", event.fields), make("p", { className: "note" }, note)];
  }

  function evidence(packet) {
    if (packet.bytes === null) return [make("p", { className: "note" }, "The bytes of this packet were not kept.")];
    const bytes = bytesOf(packet.bytes);
    const box = make("div", { className: "heat" });
    const strongest = packet.heat.slice().sort((a, b) => shareOf(packet, b) - shareOf(packet, a));
    if (!strongest.length) return [make("h3", {}, "Bytes"), make("p", { className: "note" }, "No detector of this bundle looks at bytes."), hexDump(packet, bytes, null)];
    // Each way to see the bytes: its name, and what it draws.
    const ways = strongest.flatMap((heat) => {
      const own = [`${heat.detector}: ${HEATS[heat.detector] || "heat"}`, () => heatMap(packet, bytes, heat)];
      const explained = heat.detector === "Autoencoder" && packet.relevance;
      return explained ? [own, ["Autoencoder: relevance (LRP)", () => relevanceMap(packet, bytes, packet.relevance)]] : [own];
    });
    const buttons = ways.map((way) => make("button", { type: "button", onclick: () => choose(way) }, way[0]));
    const choose = (way) => {
      buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(ways[i] === way)));
      box.replaceChildren(...way[1]());
    };
    choose(ways[0]);
    const tools = make("div", { className: "tools", role: "group", "aria-label": "Heat by" }, make("span", { className: "note" }, "Heat by"), ...buttons);
    return [make("h3", {}, "Which bytes are odd"), tools, box, ...nearestNormal(packet)];
  }
  const HEATS = { Autoencoder: "residual", PositionHistogram: "surprise", ClosedPositions: "values never seen" };
  const shareOf = (packet, heat) => (packet.shares.find(([name]) => name === heat.detector) || [0, 0])[1];

  function heatMap(packet, bytes, heat) {
    const levels = bytesOf(heat.levels);
    const order = [...levels.keys()].filter((i) => levels[i] < 255 && levels[i] > 25).sort((a, b) => levels[b] - levels[a]);
    const seen = levels.filter((level) => level < 255);
    const even = seen.length > 1 && seen.every((level) => level === seen[0]);
    const top = even ? [] : order.slice(0, 8);
    const parts = [];
    if (even) parts.push(make("p", { className: "note" }, "Every byte is equally odd: this detector knows no such traffic."));
    else if (!top.length) parts.push(make("p", { className: "note" }, "No byte is odd to this detector."));
    else parts.push(make("p", { className: "note" }, "Hottest: " + top.map((i) => wordsFor(packet, bytes, levels, i, heat)).join("; ") + "."));
    if (heat.past_end > 0.05) {
      parts.push(make("p", { className: "note" }, `${percent(heat.past_end)} of all that is odd lies behind the packet's end: it is shorter than usual.`));
    }
    const missing = packet.length - seen.length;
    if (missing > 0) parts.push(make("p", { className: "note" }, `${missing} of ${packet.length} bytes were not scored; they are in italics.`));
    const level = (i) => (i < levels.length && levels[i] < 255 ? levels[i] : null);
    parts.push(hexDump(packet, bytes, {
      top: new Set(top),
      isSeen: (i) => level(i) !== null,
      paint: (i) => (level(i) > 0 ? `rgba(var(--heat), ${((level(i) / 254) * 0.9).toFixed(3)})` : ""),
      tell: (i) => `heat ${digits((level(i) / 254) * heat.hottest, 2)} of at most ${digits(heat.hottest, 2)}`,
    }));
    parts.push(make("div", { className: "scale" }, "usual", make("i", { "aria-hidden": "true" }), `oddest byte of this packet, ${digits(heat.hottest)}`));
    return parts;
  }

  // Red speaks for a higher score, blue for a lower one.
  function relevanceMap(packet, bytes, relevance) {
    const levels = bytesOf(relevance.levels);
    const part = (i) => (i < levels.length && levels[i] < 255 ? (levels[i] - 127) / 127 : null);
    const order = [...levels.keys()].filter((i) => Math.abs(part(i)) > 0.1).sort((a, b) => Math.abs(part(b)) - Math.abs(part(a)));
    const top = order.slice(0, 8);
    const signed = (i) => `${part(i) > 0 ? "+" : ""}${digits(part(i) * relevance.greatest, 2)}`;
    const words = (i) => `byte ${i} = ${hex(bytes[i], 2)}${fieldOf(packet, i) ? ` (${fieldOf(packet, i)})` : ""}, ${signed(i)}`;
    const parts = [make("p", { className: "note" }, top.length ? `Most relevant: ${top.map(words).join("; ")}.` : "No byte is relevant.")];
    if (relevance.elsewhere > 0.005) {
      const where = relevance.padding ? `in the zeros behind the packet's end${relevance.context ? ", or in packets before it" : ""}` : "in other packets";
      parts.push(make("p", { className: "note" }, `${percent(relevance.elsewhere)} of the relevance lies ${where}.`));
    }
    parts.push(hexDump(packet, bytes, {
      top: new Set(top),
      isSeen: (i) => part(i) !== null,
      // By the square root, so that lesser ones are seen.
      paint: (i) => (part(i) ? `rgba(var(${part(i) > 0 ? "--heat" : "--cool"}), ${(Math.sqrt(Math.abs(part(i))) * 0.9).toFixed(3)})` : ""),
      tell: (i) => `relevance ${signed(i)}, at most ±${digits(relevance.greatest, 2)}`,
    }));
    parts.push(make("div", { className: "scale both" }, "for a lower score", make("i", { "aria-hidden": "true" }), `for a higher score, by ${relevance.rule}`));
    return parts;
  }

  // The packet's fragment as the autoencoder saw it, and the normal one that is most like it to the autoencoder.
  function nearestNormal(packet) {
    const title = make("h3", {}, "The nearest normal fragment");
    if (!packet.normal) {
      return [title, make("p", { className: "note" }, packet.relevance ? "The bundle keeps no normal fragments to compare with." : "This packet was not compared with normal fragments.")];
    }
    const [own, normal] = [bytesOf(packet.normal.own), bytesOf(packet.normal.bytes)];
    const length = Math.max(own.length, normal.length);
    const whole = packet.relevance.padding;
    let different = 0;
    for (let i = 0; i < length; i++) different += own[i] !== normal[i];
    const says = `${different} of ${length} bytes differ; the distance of the two codes is ${digits(packet.normal.distance)}. Masked fields are zeros in both.`;
    const side = (name, bytes, other) => make("figure", {}, make("figcaption", {}, name), make("div", { className: "hexbox", tabIndex: 0, role: "region", "aria-label": name }, plainDump(name, bytes, other, length)));
    return [title, make("p", { className: "note" }, says), make("div", { className: "pair" },
      side(`${whole ? "Packet" : "Fragment with bytes of packet"} ${packet.number}`, own, normal),
      side(`Normal: ${whole ? "packet" : "fragment from packet"} ${packet.normal.packet} of those learned from`, normal, own))];
  }

  // Bytes, eight in a row, with those that differ from others marked.
  function plainDump(name, bytes, other, length) {
    const body = make("tbody");
    for (let start = 0; start < length; start += 8) {
      const row = make("tr", {}, make("th", { scope: "row" }, hex(start, 4)));
      for (let i = start; i < start + 8; i++) {
        const there = i < bytes.length;
        const differs = i < length && bytes[i] !== other[i];
        row.append(make("td", { className: differs ? "differs" : "" }, there ? hex(bytes[i], 2) : differs ? "··" : ""));
      }
      body.append(row);
    }
    return make("table", { className: "hex compare", "aria-label": `Bytes: ${name}` }, body);
  }

  const hex = (value, width) => value.toString(16).padStart(width, "0");
  const fieldOf = (packet, i) => packet.fields.filter(([, from, to]) => i >= from && i < to).map(([name]) => name).join(", ");
  function wordsFor(packet, bytes, levels, i, heat) {
    const field = fieldOf(packet, i);
    return `byte ${i} = ${hex(bytes[i], 2)}${field ? ` (${field})` : ""}, ${digits((levels[i] / 254) * heat.hottest, 2)}`;
  }

  function hexDump(packet, bytes, heat) {
    const width = matchMedia("(max-width: 42rem)").matches ? 8 : 16;
    const readout = make("p", { className: "readout screen", "aria-live": "polite" }, "Point at a byte, or move with the arrow keys.");
    const body = make("tbody");
    const cells = [];
    const tell = (i) => {
      const field = fieldOf(packet, i);
      const printable = bytes[i] > 32 && bytes[i] < 127 ? ` "${String.fromCharCode(bytes[i])}"` : "";
      const odd = !heat ? "" : heat.isSeen(i) ? `, ${heat.tell(i)}` : ", not scored";
      readout.textContent = `Byte ${i} (0x${hex(i, 4)}): 0x${hex(bytes[i], 2)} = ${bytes[i]}${printable}${field ? `, ${field}` : ""}${odd}`;
    };
    for (let start = 0; start < bytes.length; start += width) {
      const row = make("tr", {}, make("th", { scope: "row" }, hex(start, 4)));
      let text = "";
      for (let i = start; i < Math.min(start + width, bytes.length); i++) {
        const cell = make("td", { tabIndex: i === 0 ? 0 : -1 }, hex(bytes[i], 2));
        if (i - start === 8) cell.classList.add("half");
        if (heat) {
          if (heat.isSeen(i)) cell.style.backgroundColor = heat.paint(i);
          else cell.classList.add("unseen");
          if (heat.top.has(i)) cell.classList.add("top");
        }
        // A page that scrolls under a resting pointer must not speak over the keyboard.
        cell.addEventListener("pointermove", (event) => {
          if (event.movementX || event.movementY) tell(i);
        });
        cell.addEventListener("focus", () => tell(i));
        cells.push(cell);
        row.append(cell);
        text += bytes[i] > 31 && bytes[i] < 127 ? String.fromCharCode(bytes[i]) : "·";
      }
      const fill = width - (Math.min(start + width, bytes.length) - start);
      if (fill) row.append(make("td", { colSpan: fill, "aria-hidden": "true" }));
      row.append(make("td", { className: "text", "aria-hidden": "true" }, text));
      body.append(row);
    }
    const table = make("table", { className: "hex", "aria-label": `Bytes of packet ${packet.number}` }, body);
    table.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -width, ArrowDown: width }[event.key];
      const from = cells.indexOf(document.activeElement);
      if (step === undefined || from < 0 || !cells[from + step]) return;
      event.preventDefault();
      cells[from].tabIndex = -1;
      cells[from + step].tabIndex = 0;
      cells[from + step].focus();
    });
    const shown = bytes.length < packet.length ? make("p", { className: "note" }, `The first ${bytes.length} of ${packet.length} bytes.`) : null;
    return make("div", {}, make("div", { className: "hexbox" }, table), readout, shown);
  }
})();
