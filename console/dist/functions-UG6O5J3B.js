import{a,b}from"./chunk-CVCZWOPZ.js";import"./chunk-GUIYFCA6.js";import"./chunk-MXWKQQRQ.js";import"./chunk-4AT35NJ7.js";import"./chunk-ONFQWQRN.js";export{b as Logs,a as default};
