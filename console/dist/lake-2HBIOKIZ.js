import{a,b}from"./chunk-JHENHWBS.js";import"./chunk-MVXVT3CZ.js";import"./chunk-FMMZFKEF.js";import"./chunk-ONFQWQRN.js";export{b as Place,a as default};
