import{a,b}from"./chunk-BYU6U7ZL.js";import"./chunk-BGWWRQ6S.js";import"./chunk-MXWKQQRQ.js";import"./chunk-QQFDOKSW.js";import"./chunk-ONFQWQRN.js";export{b as Logs,a as default};
