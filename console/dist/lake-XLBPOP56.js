import{a,b}from"./chunk-FN75BV7R.js";import"./chunk-AWX6W2LE.js";import"./chunk-QQFDOKSW.js";import"./chunk-ONFQWQRN.js";export{b as Place,a as default};
