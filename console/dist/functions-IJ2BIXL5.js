import{a,b}from"./chunk-X3LOJ7PT.js";import"./chunk-M2774M3S.js";import"./chunk-MXWKQQRQ.js";import"./chunk-QQFDOKSW.js";import"./chunk-ONFQWQRN.js";export{b as Logs,a as default};
