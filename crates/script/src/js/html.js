// k6/html: selections and elements over a document that the host keeps. `ask` is the document:
// a question, numbers of nodes, a text.
(function (parse) {
  "use strict";

  const unique = (ids) => [...new Set(ids)];
  const isFormField = (name) => /^(input|select|textarea)$/.test(name);

  // The nodes of a selector, a function, a selection or an element: a test of one node.
  function tester(selection, by) {
    if (typeof by === "function") {
      return (id, index) => Boolean(by(index, new Selection(selection.ask, [id])));
    }
    if (by instanceof Selection) {
      const ids = new Set(by.ids);
      return (id) => ids.has(id);
    }
    if (by instanceof Element) {
      return (id) => id === by.id_;
    }
    const chosen = new Set(selection.ask("filter", selection.ids, String(by)));
    return (id) => chosen.has(id);
  }

  class Selection {
    constructor(ask, ids, before) {
      for (const [name, value] of Object.entries({ ask, ids, before })) {
        Object.defineProperty(this, name, { value });
      }
    }

    // Those of some nodes that a selector is about, if there is one.
    made(ids, selector) {
      ids = unique(ids);
      if (selector !== undefined && selector !== null) {
        const among = new Selection(this.ask, ids);
        ids = ids.filter(tester(among, selector));
      }
      return new Selection(this.ask, ids, this);
    }

    related(how, most, selector) {
      const ids = this.ids.flatMap((id) => this.ask(how, [id]).slice(0, most));
      return this.made(ids, selector);
    }

    // Up to the first one that is met.
    until(how, end, selector) {
      const ids = this.ids.flatMap((id) => {
        const all = this.ask(how, [id]);
        if (end === undefined || end === null) {
          return all;
        }
        const test = tester(new Selection(this.ask, all), end);
        const stop = all.findIndex((id, index) => test(id, index));
        return stop < 0 ? all : all.slice(0, stop);
      });
      return this.made(ids, selector);
    }

    size() { return this.ids.length; }
    get length() { return this.ids.length; }
    end() { return this.before || new Selection(this.ask, []); }

    find(selector) {
      if (selector instanceof Selection || selector instanceof Element) {
        const test = tester(this, selector);
        const all = this.ask("find", this.ids, "*");
        return new Selection(this.ask, all.filter(test), this);
      }
      return new Selection(this.ask, this.ask("find", this.ids, String(selector)), this);
    }

    eq(index) { return this.made(this.ids.slice(index).slice(0, 1)); }
    first() { return this.eq(0); }
    last() { return this.eq(-1); }
    slice(start, end) { return this.made(this.ids.slice(start, end)); }

    filter(by) { return this.made(this.ids.filter(tester(this, by))); }
    not(by) {
      const test = tester(this, by);
      return this.made(this.ids.filter((id, index) => !test(id, index)));
    }
    is(by) { return this.ids.some(tester(this, by)); }
    has(by) {
      return this.made(this.ids.filter((id) => new Selection(this.ask, [id]).find(by).size() > 0));
    }

    children(selector) { return this.related("children", undefined, selector); }
    contents() { return this.related("contents"); }
    parent(selector) { return this.related("parents", 1, selector); }
    parents(selector) { return this.related("parents", undefined, selector); }
    parentsUntil(end, selector) { return this.until("parents", end, selector); }
    next(selector) { return this.related("next", 1, selector); }
    nextAll(selector) { return this.related("next", undefined, selector); }
    nextUntil(end, selector) { return this.until("next", end, selector); }
    prev(selector) { return this.related("previous", 1, selector); }
    prevAll(selector) { return this.related("previous", undefined, selector); }
    prevUntil(end, selector) { return this.until("previous", end, selector); }
    siblings(selector) {
      const ids = this.ids.flatMap((id) =>
        [...this.ask("previous", [id]).reverse(), ...this.ask("next", [id])]);
      return this.made(ids, selector);
    }
    closest(selector) {
      const ids = this.ids.flatMap((id) => {
        const line = [id, ...this.ask("parents", [id])];
        const test = tester(new Selection(this.ask, line), selector);
        const found = line.findIndex((id, index) => test(id, index));
        return found < 0 ? [] : [line[found]];
      });
      return this.made(ids);
    }

    text() { return this.ask("text", this.ids); }
    html() { return this.ids.length === 0 ? undefined : this.ask("inner", this.ids); }
    attr(name, otherwise) {
      const value = this.ask("attribute", this.ids, String(name));
      return value === undefined || value === null ? otherwise : value;
    }

    val() {
      if (this.ids.length === 0) {
        return undefined;
      }
      switch (this.ask("name", this.ids)) {
        case "textarea":
          return this.first().text();
        case "option":
          return this.attr("value", this.first().text());
        case "select": {
          const options = this.first().find("option");
          const chosen = options.filter("[selected]");
          if (this.attr("multiple") !== undefined) {
            return chosen.map((_, option) => option.val());
          }
          // The first one is chosen where none is.
          return chosen.size() > 0 ? chosen.last().val() : options.first().val();
        }
        default:
          return this.attr("value");
      }
    }

    each(handler) {
      this.ids.forEach((id, index) => handler(index, element(this.ask, id)));
      return this;
    }
    map(mapper) {
      return this.ids.map((id, index) => mapper(index, new Selection(this.ask, [id])));
    }
    toArray() { return this.ids.map((id) => new Selection(this.ask, [id])); }
    get(index) {
      if (index === undefined) {
        return this.ids.map((id) => element(this.ask, id));
      }
      const id = this.ids.at(index);
      return id === undefined ? undefined : element(this.ask, id);
    }

    data(key) {
      if (key !== undefined) {
        const name = String(key).replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
        const value = this.attr(`data-${name}`);
        return value === undefined ? undefined : converted(value);
      }
      const all = {};
      for (const [name, value] of this.ask("attributes", this.ids)) {
        if (name.startsWith("data-")) {
          all[name.slice(5).replace(/-([a-z])/g, (_, c) => c.toUpperCase())] = converted(value);
        }
      }
      return all;
    }

    // The fields of forms that would be sent.
    serializeArray() {
      const fields = [];
      const all = this.ids.flatMap((id) =>
        isFormField(this.ask("name", [id])) ? [id] : this.ask("find", [id], "*"));
      for (const id of unique(all)) {
        const field = new Selection(this.ask, [id]);
        const tag = this.ask("name", [id]);
        const name = field.attr("name");
        if (!isFormField(tag) || !name || field.attr("disabled") !== undefined) {
          continue;
        }
        const type = tag === "input" ? field.attr("type", "text").toLowerCase() : "";
        if (/^(submit|button|reset|image|file)$/.test(type)) {
          continue;
        }
        const isChoice = type === "checkbox" || type === "radio";
        if (isChoice && field.attr("checked") === undefined) {
          continue;
        }
        const value = field.val();
        if (Array.isArray(value)) {
          value.forEach((value) => fields.push({ name, value }));
        } else {
          fields.push({ name, value: value === undefined ? (isChoice ? "on" : "") : value });
        }
      }
      return fields;
    }
    serializeObject() {
      const fields = {};
      for (const { name, value } of this.serializeArray()) {
        fields[name] = value;
      }
      return fields;
    }
    serialize() {
      const encoded = (text) =>
        encodeURIComponent(text).replace(/%20/g, "+").replace(/[!'()~]/g, (c) =>
          `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
      return this.serializeArray()
        .map(({ name, value }) => `${encoded(name)}=${encoded(value)}`)
        .join("&");
    }
    toString() { return this.text(); }
  }

  // What an attribute `data-x` says: JSON where it is JSON.
  function converted(value) {
    if (/^(true|false|null)$/.test(value) || /^-?(0|[1-9]\d*)(\.\d+)?$/.test(value)) {
      return JSON.parse(value);
    }
    if (/^[[{]/.test(value)) {
      try {
        return JSON.parse(value);
      } catch {
        return value;
      }
    }
    return value;
  }

  class Attribute {
    constructor(owner, name, value) {
      this.ownerElement = owner;
      this.name = name;
      this.value = value;
    }
    localName() { return this.name.split(":").pop(); }
    prefix() { return this.name.includes(":") ? this.name.split(":")[0] : ""; }
    namespaceURI() { return ""; }
  }

  class Element {
    constructor(ask, id) {
      Object.defineProperty(this, "ask", { value: ask });
      Object.defineProperty(this, "id_", { value: id });
    }

    all(how) { return this.ask(how, [this.id_]).map((id) => element(this.ask, id)); }
    one(how) {
      const [id] = this.ask(how, [this.id_]);
      return id === undefined ? undefined : element(this.ask, id);
    }
    selection() { return new Selection(this.ask, [this.id_]); }

    nodeName() { return this.ask("name", [this.id_]); }
    nodeType() { return this.ask("kind", [this.id_]); }
    nodeValue() { return this.ask("value", [this.id_]); }
    textContent() { return this.ask("text", [this.id_]); }
    innerHTML() { return this.ask("inner", [this.id_]); }
    toString() { return this.ask("outer", [this.id_]) || this.textContent(); }

    getAttribute(name) {
      const value = this.ask("attribute", [this.id_], String(name));
      return value === null ? undefined : value;
    }
    hasAttribute(name) { return this.getAttribute(name) !== undefined; }
    hasAttributes() { return this.ask("attributes", [this.id_]).length > 0; }
    getAttributeNode(name) {
      const value = this.getAttribute(name);
      return value === undefined ? undefined : new Attribute(this, String(name), value);
    }
    attributes() {
      const all = {};
      for (const [name, value] of this.ask("attributes", [this.id_])) {
        all[name] = new Attribute(this, name, value);
      }
      return all;
    }

    children() { return this.all("children"); }
    childNodes() { return this.all("contents"); }
    childElementCount() { return this.ask("children", [this.id_]).length; }
    hasChildNodes() { return this.ask("contents", [this.id_]).length > 0; }
    firstChild() { return this.childNodes()[0]; }
    lastChild() { return this.childNodes().at(-1); }
    firstElementChild() { return this.children()[0]; }
    lastElementChild() { return this.children().at(-1); }
    parentElement() { return this.all("parents")[0]; }
    parentNode() { return this.one("parentNode"); }
    nextSibling() { return this.one("nextNode"); }
    previousSibling() { return this.one("previousNode"); }
    nextElementSibling() { return this.all("next")[0]; }
    previousElementSibling() { return this.all("previous")[0]; }
    ownerDocument() { return element(this.ask, 0); }

    querySelector(selector) { return this.querySelectorAll(selector)[0]; }
    querySelectorAll(selector) { return this.selection().find(selector).get(); }
    getElementsByTagName(name) { return this.querySelectorAll(name); }
    getElementsByClassName(names) {
      const wanted = String(names).split(/\s+/).filter(Boolean);
      return this.querySelectorAll("[class]").filter((element) => {
        const classes = element.classList();
        return wanted.every((name) => classes.includes(name));
      });
    }
    matches(selector) { return this.selection().is(selector); }
    contains(other) {
      return this.isSameNode(other) || other.all("parents").some((node) => this.isSameNode(node));
    }
    isSameNode(other) { return other instanceof Element && other.ask === this.ask &&
      other.id_ === this.id_; }
    isEqualNode(other) { return other instanceof Element && other.toString() === this.toString(); }
    isDefaultNamespace() { return true; }
    namespaceURI() { return "http://www.w3.org/1999/xhtml"; }

    classList() { return (this.getAttribute("class") || "").split(/\s+/).filter(Boolean); }
    className() { return this.getAttribute("class"); }
    lang() { return this.getAttribute("lang"); }

    // Of forms and their fields.
    value() {
      const value = this.selection().val();
      return value === undefined ? "" : value;
    }
    form() { return this.selection().closest("form").get(0); }
    elements() { return this.selection().find("input, select, textarea, button, fieldset").get(); }
    options() { return this.selection().find("option").get(); }
    selectedOptions() { return this.selection().find("option[selected]").get(); }
    labels() {
      const id = this.getAttribute("id");
      const all = this.ownerDocument().querySelectorAll("label");
      return all.filter((label) =>
        label.contains(this) || (id && label.getAttribute("for") === id));
    }
    text() { return this.textContent(); }
  }

  // Attributes that are text, by the name of the method.
  const texts = {
    accept: "", acceptCharset: "accept-charset", action: "", alt: "", autocomplete: "", charset: "",
    cite: "", content: "", coords: "", dateTime: "datetime", dirname: "", download: "", enctype: "",
    formAction: "formaction", formMethod: "formmethod", formTarget: "formtarget", headers: "",
    href: "", hreflang: "", htmlFor: "for", httpEquiv: "http-equiv", id: "", label: "", max: "",
    media: "", method: "", min: "", name: "", pattern: "", placeholder: "", rel: "", scope: "",
    shape: "", sizes: "", src: "", srcdoc: "", srcset: "", step: "", target: "", title: "", type: "",
    useMap: "usemap", wrap: "",
  };
  for (const [method, attribute] of Object.entries(texts)) {
    Element.prototype[method] = function () { return this.getAttribute(attribute || method) || ""; };
  }
  // Those that are there or not.
  for (const method of [
    "async", "autofocus", "autoplay", "checked", "controls", "defer", "disabled", "loop", "multiple",
    "muted", "novalidate", "open", "readonly", "required", "reversed", "selected",
  ]) {
    Element.prototype[method] = function () { return this.hasAttribute(method); };
  }
  // Numbers.
  for (const method of [
    "cols", "colspan", "height", "maxlength", "minlength", "rows", "rowspan", "size", "span", "start",
    "tabindex", "width",
  ]) {
    Element.prototype[method] = function () { return parseInt(this.getAttribute(method), 10) || 0; };
  }

  // Made once a node is asked for: two of them may be the same node.
  function element(ask, id) { return new Element(ask, id); }

  function parseHTML(text) { return new Selection(parse(String(text)), [0]); }

  return { parseHTML, Selection, Element, Attribute };
})
