// The dashboard's own script. Without it every page can be read, and every form works.
"use strict";

(() => {
  const SECOND = 1000;
  const WHOLE = Array.from({ length: 16 }, (_, power) => [1, 2, 5].map((each) => each * 10 ** power)).flat();

  /* Times: in the viewer's zone, with UTC on hover. */
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const local = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });

  function showTimes(within) {
    for (const time of within.querySelectorAll("time[datetime]:not([title])")) {
      time.title = `${time.textContent.trim()} (shown in ${zone})`;
      if (time.dataset.keep === undefined) time.textContent = local.format(new Date(time.dateTime));
    }
  }

  /* Live figures: only elements with data-live are replaced, each by the one with its id. Nothing moves: rows are
     neither added, removed nor reordered, and what has the focus or a selection stays until the next poll. */
  function isInUse(element) {
    const selection = document.getSelection();
    return element.contains(document.activeElement) || (!selection.isCollapsed && selection.containsNode(element, true));
  }

  function replaceFigures(fragment) {
    for (const fresh of fragment.querySelectorAll("[data-live][id]")) {
      const old = document.getElementById(fresh.id);
      if (!old) continue;
      showTimes(fresh);
      if (old.innerHTML === fresh.innerHTML || isInUse(old)) continue;
      old.replaceChildren(...fresh.childNodes);
    }
  }

  htmx.defineExtension("figures", {
    isInlineSwap: (style) => style === "figures",
    handleSwap: (style, target, fragment) => {
      if (style !== "figures") return false;
      replaceFigures(fragment);
      drawCharts();
      return [];
    },
  });

  /* The connection: a lost one, and an ended session, are told without taking the page away. */
  const banner = document.getElementById("connection");
  let seen = new Date();

  function tell(text, address) {
    banner.textContent = text;
    if (address) {
      const anchor = document.createElement("a");
      anchor.href = address;
      anchor.textContent = "Sign in";
      banner.append(" ", anchor);
    }
    banner.hidden = !text;
  }

  document.body.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden) event.preventDefault();
  });
  document.body.addEventListener("htmx:afterRequest", (event) => {
    const { successful, xhr } = event.detail;
    if (successful) {
      seen = new Date();
      tell("");
    } else if (xhr.status === 401) {
      tell("The session has ended.", document.body.dataset.signIn);
    } else {
      const since = seen.toLocaleTimeString();
      tell(xhr.status ? `The service cannot answer now. The figures are from ${since}.` : `The connection is lost. The figures are from ${since}.`);
    }
  });

  /* Copy. */
  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2 * SECOND);
    });
  }

  /* Charts: drawn from the table in the same figure, which stays for whoever wants the numbers. */
  const drawn = new Map();
  const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
  const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 2 });

  function readTable(figure) {
    const table = figure.querySelector("details table");
    const rows = [...table.querySelectorAll("tbody tr")];
    const heads = [...table.querySelectorAll("thead th")].slice(1);
    const times = rows.map((row) => Date.parse(row.querySelector("time").dateTime) / SECOND);
    const series = heads.map((_, at) => rows.map((row) => Number(row.querySelectorAll("td")[at].dataset.value)));
    return { heads, data: [times, ...series] };
  }

  function options(figure, heads) {
    const axis = { stroke: token("--muted"), grid: { stroke: token("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const whole = figure.dataset.unit === "count" ? { incrs: WHOLE } : {};
    const unit = figure.dataset.unit === "dollars" ? "$" : "";
    const colours = [token("--accent"), token("--danger")];
    return {
      width: figure.clientWidth,
      height: 192,
      padding: [8, 8, 0, 0],
      cursor: { points: { show: false }, drag: { x: false, y: false } },
      scales: { y: { range: (_, low, high) => [0, high > 0 ? high * 1.05 : 1] } },
      axes: [{ ...axis, space: 70, size: 28, values: (_, ticks) => ticks.map((tick) => day.format(new Date(tick * SECOND))) }, { ...axis, size: 56, ...whole, values: (_, ticks) => ticks.map((tick) => unit + short.format(tick)) }],
      series: [
        { label: "Time", value: (_, at) => (at == null ? "–" : local.format(new Date(at * SECOND))) },
        ...heads.map((head, at) => ({
          label: head.textContent.trim(),
          stroke: colours[at % colours.length],
          fill: colours[at % colours.length],
          paths: uPlot.paths.bars({ size: [0.7, 24], align: 1 }),
          width: 0,
          points: { show: false },
          value: (_, value) => (value == null ? "–" : unit + value.toLocaleString(undefined, { maximumFractionDigits: 9 })),
        })),
      ],
    };
  }

  function drawCharts(anew) {
    for (const figure of document.querySelectorAll("figure.chart")) {
      const { heads, data } = readTable(figure);
      const plot = figure.querySelector(".plot");
      const known = drawn.get(figure);
      if (!data[0].length) continue;
      if (known && !anew) {
        known.setData(data);
        continue;
      }
      if (known) known.destroy();
      plot.replaceChildren();
      drawn.set(figure, new uPlot(options(figure, heads), data, plot));
    }
  }

  new ResizeObserver(() => {
    for (const [figure, chart] of drawn) {
      if (chart.width !== figure.clientWidth) chart.setSize({ width: figure.clientWidth, height: 192 });
    }
  }).observe(document.body);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawCharts(true));

  document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  showTimes(document);
  drawCharts();
})();
