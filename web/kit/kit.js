// What every page does beyond links and forms: it asks in a dialog before anything is done, and shows what became of it.
"use strict";

(() => {
  const dialog = document.getElementById("question");
  const content = document.getElementById("question-content");

  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target === content && content.firstElementChild && !dialog.open) {
      dialog.showModal();
      const first = content.querySelector("[autofocus]");
      if (first) first.focus();
    }
  });
  document.body.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.elt instanceof HTMLFormElement && dialog.contains(event.detail.elt)) {
      // Without an answer the outcome is unknown: the question stays open and says so.
      if (!event.detail.xhr || event.detail.xhr.status === 0) return;
      dialog.close();
      showOutcome();
    }
  });
  // The outcome gets the focus, because the button that was pressed may have been replaced.
  const showOutcome = () => {
    const outcome = document.getElementById("outcome");
    if (!outcome) return;
    outcome.scrollIntoView({ block: "nearest" });
    if (!dialog.open) outcome.focus({ preventScroll: true });
  };
  const lastAlert = () => content.querySelector('[role="alert"]');
  document.body.addEventListener("htmx:beforeRequest", () => lastAlert()?.remove());
  const showNoAnswer = (event) => {
    const message = document.createElement("div");
    message.className = "outcome refused";
    message.append(Object.assign(document.createElement("p"), { textContent: dialog.dataset.noAnswer }));
    if (dialog.contains(event.detail.elt)) {
      // A message behind the open dialog would be neither visible nor announced.
      lastAlert()?.remove();
      message.role = "alert";
      message.tabIndex = -1;
      content.prepend(message);
      // The button that was pressed is disabled and cannot have the focus.
      if (!content.contains(document.activeElement)) message.focus();
      return;
    }
    const outcome = document.getElementById("outcome");
    if (!outcome) return;
    outcome.replaceChildren(message);
    showOutcome();
  };
  for (const failure of ["htmx:sendError", "htmx:timeout"]) document.body.addEventListener(failure, showNoAnswer);
  // Links with the role of a button are pressed with the space bar too.
  document.body.addEventListener("keydown", (event) => {
    const button = event.target.closest('a[role="button"]');
    if (button && event.key === " ") {
      event.preventDefault();
      button.click();
    }
  });
  dialog.addEventListener("click", (event) => {
    if (event.target.closest("[data-closes]")) {
      event.preventDefault();
      dialog.close();
    }
  });
  dialog.addEventListener("close", () => content.replaceChildren());
})();
