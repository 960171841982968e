// What textual-serve's script leaves to the page: the keyboard belongs to the terminal from the start and comes
// back when the tab does; the way back has it when all is over; the font is there before cells are measured.
"use strict";
(() => {
  const focus = () => {
    const closed = document.body.classList.contains("-closed");
    const target = document.querySelector(closed ? "#again" : ".xterm-helper-textarea");
    if (target) target.focus();
  };
  new MutationObserver(focus).observe(document.body, { attributeFilter: ["class"] });
  window.addEventListener("focus", focus);
  document.fonts.load('15px "Roboto Mono"').then(() => window.dispatchEvent(new Event("resize")));
})();
