"use strict";
// Runs before the first paint, so that a chosen theme does not flash the other one, and no browser asks for an icon.
document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "auto";
const icon = document.createElement("link");
icon.rel = "icon";
icon.href = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='4' fill='%230b6b5d'/%3E%3Cpath d='M3 8h4l2-3v6l2-3h2' fill='none' stroke='white'/%3E%3C/svg%3E";
document.head.append(icon);
