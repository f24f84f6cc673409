// Buttons that copy the text of an element: <button data-copy="ID" data-copied="message" hidden>.

/** Show the copy buttons below `root`; browsers offer the clipboard only over HTTPS and on the own machine. */
export function enableCopyButtons(root) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = button.dataset.copied;
    });
  }
}
