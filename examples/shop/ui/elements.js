/** What the views are made of. */

/** Text goes in as text nodes only, so nothing that a service says can become markup. */
export function make(tag, properties = {}, children = []) {
  const { role, style, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  if (role) element.setAttribute("role", role);
  for (const [name, value] of Object.entries(style ?? {})) element.style.setProperty(name, value);
  element.append(...children);
  return element;
}

export function say(text, isBad = false) {
  const message = document.querySelector("#message");
  message.hidden = text === "";
  message.textContent = text;
  message.className = isBad ? "bad" : "";
}

export function money(cents) {
  return `€ ${(cents / 100).toFixed(2)}`;
}

/** A picture of the product: woven in a colour of its own, as it should be here. */
export function swatch(product, className = "") {
  const hue = (product.id * 67 + 290) % 360;
  return make("span", {
    className: `swatch ${product.kind} ${className}`,
    ariaHidden: "true",
    style: { "--hue": String(hue) },
  });
}

export function starsOf({ stars, color }) {
  const text = "★".repeat(stars) + "☆".repeat(5 - stars);
  return make("span", { className: `stars ${color}`, role: "img", ariaLabel: `${stars} of 5 stars` }, [text]);
}

export function itemTable({ items, total }) {
  const rows = items.map((item) => [item.name, item.quantity, money(item.price * item.quantity)]);
  const row = (cells, tag) =>
    make(
      "tr",
      {},
      cells.map((cell, column) => make(tag, { className: column === 0 ? "" : "number" }, [String(cell)])),
    );
  return make("table", {}, [
    make("thead", {}, [row(["Product", "Quantity", "Price"], "th")]),
    make(
      "tbody",
      {},
      rows.map((cells) => row(cells, "td")),
    ),
    make("tfoot", {}, [row(["Total", "", money(total)], "th")]),
  ]);
}

export function notice(text, ...more) {
  return make("div", { className: "notice" }, [make("p", {}, [text]), ...more]);
}
