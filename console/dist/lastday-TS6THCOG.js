import{a}from"./chunk-64ZW5Y2X.js";import"./chunk-E5IQOVZM.js";import"./chunk-YGLY2FDH.js";import"./chunk-EUNGTJJ3.js";import"./chunk-ONFQWQRN.js";export{a as LastDay};
