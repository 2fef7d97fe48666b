// The colours are those of the system, or those that were chosen on this page. It is no module, and
// so is done before the page is drawn.
document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "auto";
