"use strict";
(function () {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const toggle = document.querySelector(".theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const name = () => { toggle.textContent = isDark() ? "Light theme" : "Dark theme"; };
  toggle.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    name();
  });
  dark.addEventListener("change", name);
  toggle.hidden = false;
  name();

  const order = new Intl.Collator("en", { numeric: true });
  const compare = (a, b) => (a.key !== null && b.key !== null ? a.key - b.key : order.compare(a.text, b.text));
  const read = (row, column) => {
    const cell = row.cells[column];
    const key = cell.dataset.key;
    return { row, key: key === undefined ? null : Number(key), text: cell.textContent.trim() };
  };
  function sort(table, heads, column) {
    const up = heads[column].getAttribute("aria-sort") !== "ascending";
    heads.forEach((head, i) => {
      if (i === column) head.setAttribute("aria-sort", up ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    const body = table.tBodies[0];
    const cells = Array.from(body.rows, (row) => read(row, column));
    // What is not known stands last, whatever the direction.
    const known = cells.filter((cell) => cell.text !== "");
    const unknown = cells.filter((cell) => cell.text === "");
    known.sort((a, b) => (up ? compare(a, b) : compare(b, a)));
    for (const cell of known.concat(unknown)) body.append(cell.row);
  }
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      button.title = "Sort by " + head.textContent;
      button.addEventListener("click", () => sort(table, heads, column));
      head.replaceChildren(button);
    });
  }
})();
