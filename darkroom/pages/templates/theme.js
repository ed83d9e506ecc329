"use strict";
// The theme follows the system until told otherwise; storage may be barred for files from disk.
(() => {
  const root = document.documentElement, button = document.getElementById("theme");
  const themes = ["auto", "light", "dark"];
  const recall = () => { try { return localStorage.getItem("darkroom-theme"); } catch { return null; } };
  const remember = (name) => { try { localStorage.setItem("darkroom-theme", name); } catch { /* kept for this visit only */ } };
  const setTheme = (name) => {
    if (name === "auto") delete root.dataset.theme; else root.dataset.theme = name;
    button.textContent = name[0].toUpperCase() + name.slice(1);
    button.setAttribute("aria-label", `Colour theme: ${name}`);
  };
  let theme = themes.includes(recall()) ? recall() : "auto";
  setTheme(theme);
  button.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    setTheme(theme);
    remember(theme);
  });
})();
