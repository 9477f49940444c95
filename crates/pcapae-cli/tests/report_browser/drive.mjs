// Opens a report in a headless Chromium and uses it as a person would; exits with 1 at the first thing that is wrong.
//
//   node drive.mjs CHROMIUM REPORT.html [FOLDER]
//
// With a folder, pictures of the page are left there: light, dark, and as wide as a phone. Speaks the DevTools protocol over a pipe, so
// that nothing but Node.js and Chromium is needed.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [chromium, report, pictures] = process.argv.slice(2);
const profile = mkdtempSync(join(tmpdir(), "report-browser-"));
const browser = spawn(
  chromium,
  ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions", "--disable-background-networking",
    "--remote-debugging-pipe", `--user-data-dir=${profile}`, "about:blank"],
  { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] },
);

let last = 0;
const answers = new Map();
const listeners = [];
let unread = "";
browser.stdio[4].on("data", (chunk) => {
  const messages = (unread + chunk).split("\0");
  unread = messages.pop();
  for (const text of messages) {
    const message = JSON.parse(text);
    if (message.id && answers.has(message.id)) {
      const { good, bad } = answers.get(message.id);
      answers.delete(message.id);
      if (message.error) bad(new Error(message.error.message));
      else good(message.result);
    } else listeners.forEach((listener) => listener(message));
  }
});
let session;
const call = (method, params = {}) => new Promise((good, bad) => {
  last += 1;
  answers.set(last, { good, bad });
  browser.stdio[3].write(JSON.stringify({ id: last, method, params, sessionId: session }) + "\0");
});
const check = (holds, sentence) => {
  if (!holds) throw new Error(sentence);
};
const evaluate = async (expression) => {
  const { result, exceptionDetails } = await call("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
  if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
  return result.value;
};
const frame = () => evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))");
const press = async (key, text) => {
  await call("Input.dispatchKeyEvent", { type: "keyDown", key, text, windowsVirtualKeyCode: key === "Enter" ? 13 : 0 });
  await call("Input.dispatchKeyEvent", { type: "keyUp", key });
  await frame();
};
const mouse = (type, x, y, more = {}) => call("Input.dispatchMouseEvent", { type, x, y, button: "left", clickCount: 1, ...more });
const range = () => evaluate("[Number(chart.dataset.from), Number(chart.dataset.to)]");
const span = async () => (([from, to]) => to - from)(await range());
const picture = async (name) => {
  if (!pictures) return;
  const height = await evaluate("document.documentElement.scrollHeight");
  const width = await evaluate("document.documentElement.clientWidth");
  const clip = { x: 0, y: 0, width, height: Math.min(height, 4000), scale: 1 };
  const { data } = await call("Page.captureScreenshot", { captureBeyondViewport: true, clip });
  writeFileSync(join(pictures, name), Buffer.from(data, "base64"));
};
const screen = (width, mobile) =>
  call("Emulation.setDeviceMetricsOverride", { width, height: 900, deviceScaleFactor: mobile ? 2 : 1, mobile });

async function run() {
  const { targetInfos } = await call("Target.getTargets");
  const page = targetInfos.find((target) => target.type === "page");
  session = (await call("Target.attachToTarget", { targetId: page.targetId, flatten: true })).sessionId;
  const wrong = [], asked = [];
  listeners.push(({ method, params }) => {
    if (method === "Runtime.exceptionThrown") wrong.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === "Runtime.consoleAPICalled" && params.type === "error") wrong.push(JSON.stringify(params.args));
    if (method === "Log.entryAdded" && params.entry.level === "error") wrong.push(params.entry.text);
    if (method === "Network.requestWillBeSent") asked.push(params.request.url);
  });
  for (const domain of ["Page", "Runtime", "Log", "Network"]) await call(`${domain}.enable`);
  await screen(1280, false);
  await call("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: "light" }] });

  const start = performance.now();
  const loaded = new Promise((done) => listeners.push(({ method }) => method === "Page.loadEventFired" && done()));
  await call("Page.navigate", { url: pathToFileURL(resolve(report)).href });
  await loaded;
  await frame();
  const milliseconds = Math.round(performance.now() - start);

  const events = await evaluate("document.querySelectorAll('#table > tbody').length");
  check(events > 0, "the report has no events to look at");
  check(await evaluate("typeof window.pwned === 'undefined' && !document.querySelector('img, main script, iframe')"), "something from a capture's name became an element");
  // Alerts are drawn in their colour.
  const reds = await evaluate(`(() => {
    const { data } = chart.getContext("2d").getImageData(0, 0, chart.width, chart.height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) count += data[i] > 170 && data[i + 1] < 60 && data[i + 2] < 60;
    return count;
  })()`);
  check(reds > 5, `the chart shows ${reds} pixels of alerts`);

  // A click on an event shows its bytes with heat.
  await evaluate("document.querySelector('.open').scrollIntoView({ block: 'center' })");
  const box = await evaluate("(({ x, y, width, height }) => ({ x: x + width / 2, y: y + height / 2 }))(document.querySelector('.open').getBoundingClientRect())");
  await mouse("mousePressed", box.x, box.y);
  await mouse("mouseReleased", box.x, box.y);
  await frame();
  check(await evaluate("document.querySelector('.open').getAttribute('aria-expanded') === 'true'"), "a click does not open an event");
  check(await evaluate("!document.querySelector('.detail').hidden"), "an opened event is hidden");
  const bytes = await evaluate("document.querySelectorAll('.detail .hex td[tabindex]').length");
  check(bytes >= 14, `an opened event shows ${bytes} bytes`);
  const hot = await evaluate("[...document.querySelectorAll('.detail .hex td')].filter((cell) => cell.style.backgroundColor).length");
  check(hot > 0, "no byte is hot");
  check(await evaluate("document.querySelectorAll('.detail .of-detectors tr').length > 0"), "no detector has a share");
  check(await evaluate("document.querySelectorAll('.detail .of-fields tr').length > 0"), "no field mattered");
  await evaluate("document.querySelector('.detail .hex td[tabindex=\"0\"]').focus()");
  await press("ArrowRight");
  check(await evaluate("document.activeElement.closest('.hex') !== null && [...document.querySelectorAll('.hex td[tabindex]')].indexOf(document.activeElement) === 1"), "the arrow keys do not move among bytes");
  check(await evaluate("/^Byte 1 /.test(document.querySelector('.detail .readout').textContent)"), "the byte under the focus is not told");
  await evaluate("[...document.querySelectorAll('.detail [aria-label=\"Heat by\"] button')].at(-1).click()");
  check(await evaluate("document.querySelectorAll('.detail .heat .hex').length === 1"), "another detector's heat is not shown");
  // Relevance has two colours, and a legend of its own.
  await evaluate("[...document.querySelectorAll('.detail [aria-label=\"Heat by\"] button')].find((button) => button.textContent.includes('LRP')).click()");
  check(await evaluate("document.querySelector('.detail .heat').textContent.includes('Most relevant: byte')"), "relevance is not told in words");
  const colours = await evaluate("[...new Set([...document.querySelectorAll('.detail .heat .hex td')].map((cell) => cell.style.backgroundColor.match(/--heat|--cool/)?.[0]).filter((name) => name))].sort().join()");
  check(colours.includes("--heat"), `the relevance of bytes is drawn in ${colours}`);
  await evaluate("document.querySelectorAll('.detail .heat .hex td[tabindex]')[2].focus()");
  check(await evaluate("/relevance [+-]?[0-9]/.test(document.querySelector('.detail .readout').textContent)"), "a byte's relevance is not told");
  // Beside it stands the nearest normal fragment, with what differs marked alike on both sides.
  const sides = await evaluate("[...document.querySelectorAll('.detail .pair .compare')].map((table) => [table.querySelectorAll('td.differs').length, [...table.querySelectorAll('td')].filter((cell) => cell.textContent).length])");
  check(sides.length === 2 && sides[0][0] > 0 && sides[0][0] === sides[1][0], `the normal fragment is compared as ${JSON.stringify(sides)}`);
  check(await evaluate("/[0-9]+ of [0-9]+ bytes differ/.test(document.querySelector('.detail').textContent)"), "what differs is not counted");
  await picture("light.png");
  // The keyboard closes it, and opens it again.
  await evaluate("document.querySelector('.open').focus()");
  await press("Enter", "\r");
  check(await evaluate("document.querySelector('.open').getAttribute('aria-expanded') === 'false'"), "Enter does not close an event");

  // The filter.
  const filter = (text) => evaluate(`filter.value = ${JSON.stringify(text)}; filter.dispatchEvent(new Event("input")); [...document.querySelectorAll("#table > tbody")].filter((body) => !body.hidden).length`);
  check((await filter("no such host")) === 0, "the filter lets through what does not fit");
  check(await evaluate("!none.hidden && count.textContent.startsWith('0 of ')"), "nobody says that nothing fits");
  const host = await evaluate("document.querySelector('.reason button').textContent");
  check((await filter(host)) > 0, "the filter hides what fits");
  check((await filter("")) === events, "without a filter events are hidden");

  // Sorting.
  await evaluate("document.querySelector('[data-key=score]').click()");
  check(await evaluate("document.querySelector('[data-key=score]').closest('th').getAttribute('aria-sort') === 'descending'"), "the order is not said");
  check(await evaluate("[...document.querySelectorAll('#table > tbody')].every((body, i, all) => !i || Number(all[i - 1].dataset.score) >= Number(body.dataset.score))"), "scores are not in order");

  // Zooming by button, wheel, drag and keys.
  await evaluate("chart.scrollIntoView({ block: 'center' })");
  const all = await span();
  await evaluate("document.querySelector('[data-do=in]').click()");
  await frame();
  check(Math.abs((await span()) / all - 0.5) < 1e-6, "+ does not zoom in");
  const chart = await evaluate("(({ x, y, width, height }) => ({ x, y, width, height }))(chart.getBoundingClientRect())");
  const [middle, height] = [chart.x + chart.width / 2, chart.y + chart.height / 2];
  await mouse("mouseWheel", middle, height, { deltaX: 0, deltaY: -100, button: "none" });
  await frame();
  check((await span()) < all * 0.45, "the wheel does not zoom in");
  const before = await span();
  await mouse("mousePressed", middle - 100, height);
  await mouse("mouseMoved", middle + 100, height, { buttons: 1 });
  await mouse("mouseReleased", middle + 100, height);
  await frame();
  check((await span()) < before * 0.5, "a drag does not zoom in");
  await evaluate("chart.focus()");
  const [left] = await range();
  await press("ArrowRight");
  check((await range())[0] > left, "the arrow keys do not move");
  await press("0", "0");
  check((await span()) === all, "0 does not show all");
  await evaluate("axis.value = 'packet'; axis.dispatchEvent(new Event('change'))");
  await frame();
  check(/^Shown: packets 1 to /.test(await evaluate("range.textContent")), "the axis cannot be changed to packets");
  await evaluate("axis.value = 'time'; axis.dispatchEvent(new Event('change'))");

  // Dark, and on a phone.
  await call("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: "dark" }] });
  await frame();
  check(await evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]) < 80"), "it is not dark");
  await evaluate("document.querySelector('.open').click()");
  await frame();
  await picture("dark.png");
  await evaluate("document.querySelector('.open').click()");
  await call("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: "light" }] });
  await screen(390, true);
  await frame();
  await evaluate("[...document.querySelectorAll('.open')].at(-1).click()");
  await frame();
  const [wide, room] = await evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]");
  check(wide <= room, `on a phone of ${room} pixels the page is ${wide} wide`);
  await picture("phone.png");
  if (pictures) {
    const { data } = await call("Page.printToPDF", { printBackground: true });
    writeFileSync(join(pictures, "print.pdf"), Buffer.from(data, "base64"));
  }

  check(wrong.length === 0, `the console says: ${wrong.join("; ")}`);
  const outside = asked.filter((url) => !url.startsWith("file:") && !url.startsWith("data:") && url !== "about:blank");
  check(outside.length === 0, `the page asks for ${outside.join(", ")}`);
  console.log(`${events} events, open after ${milliseconds} ms`);
}

let code = 0;
const patience = setTimeout(() => {
  console.error("the browser does not answer");
  browser.kill("SIGKILL");
  process.exit(1);
}, 60_000);
try {
  await run();
} catch (error) {
  console.error(error.message);
  code = 1;
}
clearTimeout(patience);
const gone = new Promise((done) => browser.on("exit", done));
browser.kill("SIGKILL");
await gone;
// Its helpers may still write while they die; what is left then is the temporary folder's.
try {
  rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
} catch (error) {
  console.error(`left behind: ${profile} (${error.code})`);
}
process.exit(code);
